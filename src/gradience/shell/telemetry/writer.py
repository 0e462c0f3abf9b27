"""The append-only writer of telemetry v1."""

import math
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import TelemetryError
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import (
    DROPPED_EVENTS,
    AnyEvent,
    Recommendation,
    RunStatus,
    UnknownEvent,
)
from gradience.core.telemetry.text_policy import TextPolicy
from gradience.shell.telemetry.appended_file import AppendedFile, FilePolicy


class TelemetryWriter:
    """Appends events to a JSON Lines file, each as one ``write`` of one whole line.

    The file is opened for append and never truncated; where its last line is torn (a crash, a full
    disk), the next event starts on a fresh line. A file that is deleted meanwhile is made anew
    within a second of writing. A writer stays usable after an event was refused: the next one that
    is written says in ``dropped_events`` how many were lost to the disk.

    As a context manager the writer closes the run it opened: leaving normally writes
    ``run_end: ok``, a KeyboardInterrupt or SystemExit ``aborted``, any other exception ``error``
    with the exception's type as the reason and never its text.

    Args:
        path: The file; missing folders are made.
        run_id: Identifies the run in every record; a random UUID by default.
        max_str_len: Longest string that is kept.
        on_text_violation: ``"redact"`` replaces a longer string by ``[REDACTED len=N]``,
            ``"raise"`` raises :class:`~gradience.core.errors.TextViolationError`.
        allow_text: Keeps strings of any length (the explicit opt-in).
        fsync_s: None leaves it to the system when lines reach the disk (they outlive the process
            all the same); 0 waits for the disk after every event, N at most once in N seconds
            and on closing: against power loss.
        clock: Source of ``ts``, Unix seconds.

    Raises:
        TelemetryError: The file cannot be opened, ``on_text_violation`` is neither of the two, or
            ``fsync_s`` no such number. Writing raises it too, before anything is written, where an
            argument is not what the contract names (a step that is no integer, an unknown
            status …).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        run_id: str | None = None,
        max_str_len: int = 256,
        on_text_violation: Literal["redact", "raise"] = "redact",
        allow_text: bool = False,
        fsync_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        policy = TextPolicy(
            max_str_len=max_str_len, on_violation=on_text_violation, allow_text=allow_text
        )
        self.path = Path(path)
        self.dropped_events = 0
        """Events lost since the last one that was written, which the next one will tell."""
        self._clock = clock
        self._build = EventBuilder(run_id=run_id or str(uuid.uuid4()), policy=policy)
        self.run_id = self._build.run_id
        self._run_open = False
        self._file: AppendedFile | None = _open_for_append(self.path, _checked_seconds(fsync_s))

    def run_start(
        self,
        config: ConfigSnapshot | Mapping[str, object],
        meta: Mapping[str, object] | None = None,
        *,
        step: int | None = None,
        **extras: object,
    ) -> None:
        """Writes ``run_start`` with the run's configuration and, in ``meta``, its environment."""
        self.write(self._build.run_start(self._clock(), step, config, meta or {}, extras))
        self._run_open = True

    def train_step(
        self,
        step: int | None,
        *,
        loss: object = None,
        lr: object = None,
        grad_norm: object = None,
        epoch: object = None,
        **extras: object,
    ) -> None:
        """Writes ``train_step``; numbers may be Python's, NumPy's or one-element tensors.

        ``lr`` may also be a sequence, a one-dimensional array or tensor: one per parameter group.
        """
        self.write(
            self._build.train_step(
                self._clock(),
                step,
                loss=loss,
                lr=lr,
                grad_norm=grad_norm,
                epoch=epoch,
                extras=extras,
            )
        )

    def eval(
        self,
        step: int | None = None,
        *,
        split: str,
        metrics: Mapping[str, object],
        **extras: object,
    ) -> None:
        """Writes ``eval``: the metrics of one evaluation over ``split``."""
        self.write(self._build.eval(self._clock(), step, split, metrics, extras))

    def metrics(
        self,
        step: int | None = None,
        *,
        kind: str,
        metrics: Mapping[str, object],
        **extras: object,
    ) -> None:
        """Writes ``metrics`` of some ``kind`` (``lora_audit``, ``guard``, ``spectral`` …)."""
        self.write(self._build.metrics(self._clock(), step, kind, metrics, extras))

    def alert(
        self,
        severity: Severity | str,
        code: str,
        message: str,
        *,
        context: Mapping[str, object] | None = None,
        step: int | None = None,
        **extras: object,
    ) -> None:
        """Writes ``alert``."""
        self.write(
            self._build.alert(
                self._clock(),
                step,
                severity=severity,
                code=code,
                message=message,
                context=context or {},
                extras=extras,
            )
        )

    def recommendation(
        self,
        recommendations: Sequence[Recommendation] | Recommendation,
        *,
        step: int | None = None,
        **extras: object,
    ) -> None:
        """Writes ``recommendation`` with one or several recommendations."""
        if isinstance(recommendations, Recommendation):
            recommendations = (recommendations,)
        self.write(self._build.recommendation(self._clock(), step, recommendations, extras))

    def run_end(
        self,
        status: RunStatus | str = RunStatus.OK,
        reason: str | None = None,
        *,
        step: int | None = None,
        **extras: object,
    ) -> None:
        """Writes ``run_end``."""
        self.write(self._build.run_end(self._clock(), step, status, reason, extras))
        self._run_open = False

    def write(self, event: AnyEvent) -> None:
        """Appends one event as it is (the other methods build it and come here).

        Raises:
            TelemetryError: The writer is closed, the event cannot be encoded or the disk refuses
                the write; the last two count in :attr:`dropped_events`.
        """
        if self._file is None:
            raise TelemetryError(
                f"{self.path}: expected an open writer, found it closed. Open a new "
                "TelemetryWriter: it appends."
            )
        lost = self.dropped_events
        try:
            self._file.append(encode_event(_telling(event, lost) if lost else event) + b"\n")
        except OSError as error:
            self.dropped_events = lost + 1
            raise TelemetryError(f"{self.path}: cannot append an event: {error}") from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            self.dropped_events = lost + 1
            raise TelemetryError(
                f"{self.path}: expected an event of plain JSON data, found one that cannot be "
                f"encoded ({type(error).__name__})"
            ) from error
        self.dropped_events = 0

    def close(self) -> None:
        """Closes the file; closing twice is fine. Writes no event.

        Raises:
            TelemetryError: ``fsync_s`` is set and the disk refuses; the file is closed.
        """
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            raise TelemetryError(f"{self.path}: cannot flush to the disk: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._run_open and self._file is not None:
                self.run_end(status_of(kind), kind.__name__ if kind else None)
        finally:
            self.close()


def status_of(kind: type[BaseException] | None) -> RunStatus:
    """How a run that was left by an exception of this type (or by none) ended."""
    if kind is None:
        return RunStatus.OK
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return RunStatus.ABORTED
    return RunStatus.ERROR


def _open_for_append(path: Path, fsync_s: float | None) -> AppendedFile:
    try:
        return AppendedFile(path, FilePolicy(fsync_s=fsync_s))
    except OSError as error:
        raise TelemetryError(
            f"{path}: cannot open the telemetry file for append: {error}. Name a file in a "
            "folder you may write to."
        ) from error


def _checked_seconds(fsync_s: float | None) -> float | None:
    if fsync_s is None or (math.isfinite(fsync_s) and fsync_s >= 0):
        return fsync_s
    raise TelemetryError(f"fsync_s: expected None or seconds from 0 on, found {fsync_s!r}")


def _telling(event: AnyEvent, lost: int) -> AnyEvent:
    """The event with the number of those lost before it."""
    if isinstance(event, UnknownEvent):
        return msgspec.structs.replace(event, payload={**event.payload, DROPPED_EVENTS: lost})
    return msgspec.structs.replace(event, extras={**event.extras, DROPPED_EVENTS: lost})
