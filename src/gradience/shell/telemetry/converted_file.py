"""Writes events to a file of their own that is there whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent


def write_whole_file(path: Path, events: Iterable[AnyEvent], *, force: bool = False) -> None:
    """Writes events as JSON Lines under a temporary name, then renames the file.

    Where the events cannot all be read or written, what stood under the name before still does.

    Args:
        path: The file; its folder is made where it is not there.
        events: The events, read while writing.
        force: Replaces a file of that name.

    Raises:
        TelemetryError: The file is there already (without ``force``) or cannot be written.
    """
    if path.is_dir() or (path.exists() and not force):
        there = "a folder" if path.is_dir() else "a file that is there already"
        remedy = "Name a file." if path.is_dir() else "Name another, or replace it with --force."
        raise TelemetryError(f"{path}: expected a file to make, found {there}. {remedy}")
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
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> TelemetryError:
    return TelemetryError(f"{path}: cannot write: {error.strerror}. Name a file elsewhere.")
