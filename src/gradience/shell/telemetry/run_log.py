"""Opens the log of a run, whichever tool wrote it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gradience.core.foreign_logs.kinds import HEAD_BYTES, LogFileKind
from gradience.core.signals.batch import Batch
from gradience.core.telemetry.events import AnyEvent
from gradience.core.telemetry.issues import TelemetryIssue
from gradience.shell.telemetry.reader import BATCH_EVENTS, TelemetryReader

V1_MARK = b"gradience.vnext.telemetry/v"
"""Stands in every record of telemetry."""


class RunLog(Protocol):
    """A run's log as events of telemetry v1."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def kind(self) -> LogFileKind:
        """What wrote it."""

    @property
    def issues(self) -> tuple[TelemetryIssue, ...]:
        """What was odd in the part of the file that the latest pass has read."""

    def iter_events(self, event_type: str | None = None) -> Iterator[AnyEvent]:
        """Yields the events in record order, all or those of one type."""

    def iter_batches(self, size: int = BATCH_EVENTS) -> Iterator[Batch]:
        """Yields the events as columnar batches of at most ``size``."""


class TelemetryLog(TelemetryReader):
    """A telemetry v1 file as a :class:`RunLog`."""

    kind = LogFileKind.TELEMETRY_V1


def open_run_log(path: str | os.PathLike[str], *, strict_schema: bool = False) -> RunLog:
    """Opens a run's log for reading as events of telemetry v1.

    Read are telemetry v1, Hugging Face's ``trainer_state.json`` (also of Axolotl, Unsloth and
    TRL) and bare ``log_history`` lists, LLaMA-Factory's ``trainer_log.jsonl``, ms-swift's
    ``logging.jsonl``, torchtune's DiskLogger, plain step logs in JSON Lines, and results of PEFT's
    method comparison, each told by its content, not by its name. A folder stands for the one run
    in it.

    Args:
        path: The file, or an output or checkpoint folder.
        strict_schema: Makes every issue of severity warning or above an error, on reading.

    Returns:
        The log. JSON Lines are read in bounded memory, a JSON document is held.

    Raises:
        TelemetryError: The file is no log that can be read, the message names what it is; or the
            folder holds none or those of several runs. Also on reading, as
            :class:`~gradience.shell.telemetry.reader.TelemetryReader` does.
    """
    file = Path(path)
    if file.is_dir():
        from gradience.shell.telemetry.run_folder import log_in_folder

        file = log_in_folder(file)
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError:
        return TelemetryLog(file, strict_schema=strict_schema)
    if V1_MARK in head or not head.strip():
        return TelemetryLog(file, strict_schema=strict_schema)
    from gradience.shell.telemetry.foreign_log import open_foreign_log

    foreign = open_foreign_log(file, head, strict_schema=strict_schema)
    return foreign or TelemetryLog(file, strict_schema=strict_schema)
