"""Writes events to a file of their own that is there whole or not at all."""

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent

NEW_FILE_MODE = 0o666
"""Permissions of a new file, before the process's mask takes some away."""


def write_whole_file(path: Path, events: Iterable[AnyEvent], *, force: bool = False) -> None:
    """Writes events as JSON Lines under a temporary name, then renames the file.

    Where the events cannot all be read or written, what stood under the name before still does.
    The file's mode is that of any new file, or of the one that it replaces.

    Args:
        path: The file; its folder is made where it is not there.
        events: The events, read while writing.
        force: Replaces a file of that name.

    Raises:
        TelemetryError: The file is there already (without ``force``), is a folder or a device, or
            cannot be written.
    """
    _refuse_what_is_there(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for event in events:
                file.write(encode_event(event) + b"\n")
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _refuse_what_is_there(path: Path, *, force: bool) -> None:
    if not path.exists() or (force and path.is_file()):
        return
    there, remedy = "a device or a pipe", "Name a file."
    if path.is_dir():
        there = "a folder"
    elif path.is_file():
        there = "a file that is there already"
        remedy = "Name another, or replace it with --force."
    raise TelemetryError(f"{path}: expected a file to make, found {there}. {remedy}")


def _mode(path: Path) -> int:
    """The permissions of the file that is there, else those that the process gives to a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return NEW_FILE_MODE & ~mask


def _unwritable(path: Path, error: OSError) -> TelemetryError:
    return TelemetryError(f"{path}: cannot write: {error.strerror}. Name a file elsewhere.")
