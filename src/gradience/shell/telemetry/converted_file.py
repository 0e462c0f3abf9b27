"""Writes events to a file of their own that is there whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent
from gradience.shell.files import replacing


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
        with replacing(path) as file:
            for event in events:
                file.write(encode_event(event) + b"\n")
    except OSError as error:
        raise TelemetryError(
            f"{path}: cannot write: {error.strerror}. Name a file elsewhere."
        ) from error


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
