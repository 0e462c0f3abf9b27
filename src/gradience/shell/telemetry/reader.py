"""The streaming reader of telemetry v1."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import TelemetryError, TelemetrySchemaError
from gradience.core.json_text import parse_json
from gradience.core.monitoring.signals import (
    EvalMetrics,
    SignalSnapshot,
    eval_metrics,
    signal_snapshot,
)
from gradience.core.severity import Severity
from gradience.core.signals.batch import Batch, build_batch
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.decode import LineIssue, decode_line
from gradience.core.telemetry.events import AnyEvent, Eval, RunStart, event_name
from gradience.core.telemetry.issues import (
    IssueLog,
    TelemetryIssue,
    describe_foreign_log,
    refusal,
)

BATCH_EVENTS = 4096
"""Events per columnar batch: large enough to vectorise, small enough to stay in cache."""

PATIENCE_LINES = 100
"""Lines without a single v1 record after which a file is refused."""

MAX_LINE_BYTES = 64 * 2**20
"""Longest line that is read; a longer one is no record and is skipped piece by piece."""

SNIFF_BYTES = 64 * 2**20
"""Largest file that is parsed as one JSON document to name it in a refusal."""


class NumberedEvent(NamedTuple):
    """An event and the number of its line, from 1."""

    line: int
    event: AnyEvent


class _Stranger(NamedTuple):
    """A line that holds no event of the schema, and what it is instead, where that is known."""

    line: int
    found: str | None


class TelemetryReader:
    """Reads a telemetry file, event by event, in one pass and bounded memory.

    What is odd about the file (a torn last line, unknown events, extra keys, odd values, records
    of another schema, lines longer than :data:`MAX_LINE_BYTES`) is gathered in :attr:`issues`
    while reading and is never fatal; a file without a single record of the v1 schema is refused.

    Args:
        path: The file.
        strict_schema: Makes every issue of severity warning or above an error.

    Raises:
        TelemetryError: On reading, where the file cannot be read, holds no event, or (strict)
            has an issue.
        TelemetrySchemaError: On reading, where the file follows another schema; the message
            names the one found.
    """

    def __init__(self, path: str | os.PathLike[str], *, strict_schema: bool = False) -> None:
        self.path = Path(path)
        self.strict_schema = strict_schema
        self._log = IssueLog()

    @property
    def issues(self) -> tuple[TelemetryIssue, ...]:
        """What was odd in the part of the file that the latest pass has read."""
        return self._log.listed()

    def iter_events(self, event_type: str | None = None) -> Iterator[AnyEvent]:
        """Yields the events in file order, all or those of one type (``"eval"`` …)."""
        for _, event in self._numbered():
            if event_type is None or event_name(event) == event_type:
                yield event

    def iter_batches(self, size: int = BATCH_EVENTS) -> Iterator[Batch]:
        """Yields the events as columnar batches of at most ``size``."""
        pending: list[AnyEvent] = []
        start = 0
        for _, event in self._numbered():
            pending.append(event)
            if len(pending) == size:
                yield build_batch(pending, start)
                start += size
                pending = []
        if pending:
            yield build_batch(pending, start)

    def latest_config(self) -> ConfigSnapshot | None:
        """The configuration of the last ``run_start``, or None."""
        latest = None
        for event in self.iter_events("run_start"):
            if isinstance(event, RunStart):
                latest = event.config
        return latest

    def latest_eval_event(self, split: str | None = None) -> Eval | None:
        """The last ``eval`` event, of one split or of any, or None."""
        latest = None
        for event in self.iter_events("eval"):
            if isinstance(event, Eval) and split in (None, event.split):
                latest = event
        return latest

    def latest_eval(self, split: str | None = None) -> EvalMetrics | None:
        """The metrics of the last evaluation, of one split or of any, or None."""
        event = self.latest_eval_event(split)
        return None if event is None else eval_metrics(event.metrics)

    def summarize(self) -> SignalSnapshot:
        """The signals of the file's last run: losses, perplexities, gap, adapter ranks."""
        return signal_snapshot(run_signals(self.iter_batches()))

    def validate(self) -> tuple[TelemetryIssue, ...]:
        """Reads the whole file and returns what was odd about it (empty: nothing)."""
        for _ in self._numbered():
            pass
        return self.issues

    def _numbered(self) -> Iterator[NumberedEvent]:
        self._log = IssueLog()
        seen_schema = False
        strangers: list[_Stranger] = []
        try:
            with self.path.open("rb") as file:
                for number, line in _lines(file):
                    event = self._decode(number, line)
                    if event is not None:
                        seen_schema = True
                        yield NumberedEvent(number, event)
                    elif not seen_schema:
                        strangers.append(_Stranger(number, _described(line)))
                        if len(strangers) >= PATIENCE_LINES:
                            break
        except OSError as error:
            raise TelemetryError(
                f"{self.path}: cannot read the telemetry file: {error.strerror}. Name a file "
                "that GradienceCallback() wrote (by default <output_dir>/run.jsonl)."
            ) from error
        if not seen_schema:
            self._refuse(strangers)

    def _decode(self, number: int, line: bytes | None) -> AnyEvent | None:
        """The event of a line; None where it holds none, or (given None) was too long."""
        event, issues = (None, (_TOO_LONG,)) if line is None else decode_line(line)
        if issues:
            if event is None and line is not None and not line.endswith(b"\n"):
                issues = (_torn(line),)
            self._log = self._log.add((number, issue) for issue in issues)
            self._raise_if_strict(number, issues)
        return event

    def _raise_if_strict(self, number: int, issues: tuple[LineIssue, ...]) -> None:
        if not self.strict_schema:
            return
        for issue in issues:
            if issue.severity.at_least(Severity.WARNING):
                raise TelemetryError(
                    f"{self.path}:{number}: {issue.message}. Leave out --strict-schema to read "
                    "the rest of the file and list this as an issue."
                )

    def _refuse(self, strangers: list[_Stranger]) -> NoReturn:
        """Names what the file is instead of telemetry v1."""
        if not strangers:
            raise TelemetryError(refusal(str(self.path), "an empty file"))
        for number, found in strangers:
            if found is not None:
                raise TelemetrySchemaError(refusal(f"{self.path}:{number}", found))
        if self.path.stat().st_size <= SNIFF_BYTES:
            found = _described(self.path.read_bytes())
            if found is not None:
                raise TelemetrySchemaError(refusal(str(self.path), found))
        place = f"{self.path}:{strangers[0].line}"
        raise TelemetryError(refusal(place, "lines that are not JSON"))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The lines that are not blank, numbered from 1; None for one that is too long to hold."""
    for number in itertools.count(1):
        line = file.readline(MAX_LINE_BYTES)
        if not line:
            return
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(file)
            yield number, None
        elif line.strip():
            yield number, line


def _skip_line(file: BinaryIO) -> None:
    rest = file.readline(MAX_LINE_BYTES)
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(MAX_LINE_BYTES)


def _described(text: bytes | None) -> str | None:
    """What a JSON document is, by its keys; None where it is no mapping or list."""
    if text is None:
        return None
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return describe_foreign_log(value) if isinstance(value, dict | list) else None


_TOO_LONG = LineIssue(
    Severity.WARNING,
    "line_too_long",
    f"expected a line of less than {MAX_LINE_BYTES} bytes, found a longer one; not read",
)


def _torn(line: bytes) -> LineIssue:
    return LineIssue(
        Severity.WARNING,
        "torn_line",
        f"the last line is cut off after {len(line)} bytes (the writer was stopped while "
        "writing); everything before it was read",
    )
