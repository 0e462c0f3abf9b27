"""The streaming reader of telemetry v1."""

import bisect
import io
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
from gradience.core.signals.batch import Batch, build_batch, concatenate
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.decode import Block, decode_lines
from gradience.core.telemetry.events import AnyEvent, Eval, RunStart, event_name
from gradience.core.telemetry.issues import (
    IssueLog,
    TelemetryIssue,
    describe_foreign_log,
    line_too_long,
    refusal,
    torn_line,
)

BATCH_EVENTS = 4096
"""Events per columnar batch: large enough to vectorise, small enough to stay in cache."""

BLOCK_BYTES = 128 * 2**10
"""Bytes read and decoded at once: a few hundred lines, small enough to stay in cache."""

PATIENCE_LINES = 100
"""Lines without a single v1 record after which a file is refused."""

MAX_LINE_BYTES = 64 * 2**20
"""Longest line that is read; a longer one is no record and is skipped piece by piece."""

SNIFF_BYTES = 64 * 2**20
"""Largest file that is parsed as one JSON document to name it in a refusal."""


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
        for block in self._blocks():
            for event in block.events:
                if event_type is None or event_name(event) == event_type:
                    yield event

    def iter_batches(self, size: int = BATCH_EVENTS) -> Iterator[Batch]:
        """Yields the events as columnar batches of at most ``size``."""
        parts: list[Batch] = []
        start = 0
        for block in self._blocks():
            parts.append(build_batch(block.rows, parts[-1].stop if parts else start))
            if parts[-1].stop - start < size:
                continue
            whole = concatenate(parts)
            while whole.stop - start >= size:
                yield whole.slice(start, start + size)
                start += size
            parts = [whole.slice(start, whole.stop)]
        if parts and parts[-1].stop > start:
            yield concatenate(parts)

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
        for _ in self._blocks():
            pass
        return self.issues

    def _blocks(self) -> Iterator[Block]:
        self._log = IssueLog()
        strangers: list[_Stranger] | None = []
        first_line = 1
        try:
            with self.path.open("rb") as file:
                for lines in _whole_lines(file):
                    block = _decoded(lines, first_line)
                    if strangers is not None and not self.strict_schema:
                        strangers += _strangers(lines, first_line, block)
                        if len(strangers) >= PATIENCE_LINES:
                            break
                    strangers = None if block.rows else strangers
                    yield from self._noted(block)
                    first_line += block.n_lines
        except OSError as error:
            raise TelemetryError(
                f"{self.path}: cannot read the telemetry file: {error.strerror}. Name a file "
                "that GradienceCallback() wrote (by default <output_dir>/run.jsonl)."
            ) from error
        if strangers is not None:
            self._refuse(strangers)

    def _noted(self, block: Block) -> Iterator[Block]:
        """Puts the issues down; where strict, ends with an error at the first severe one."""
        severe = [entry for entry in block.issues if entry[1].severity.at_least(Severity.WARNING)]
        if not self.strict_schema or not severe:
            if block.issues:
                self._log = self._log.add(block.issues)
            yield block
            return
        number, issue = severe[0]
        self._log = self._log.add(entry for entry in block.issues if entry[0] <= number)
        n_rows = bisect.bisect_left(block.lines, number)
        yield block._replace(rows=block.rows[:n_rows], lines=block.lines[:n_rows])
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


def _whole_lines(file: BinaryIO) -> Iterator[list[bytes] | None]:
    """The file's lines, many at a time; None for a line that is too long to hold."""
    size = min(BLOCK_BYTES, MAX_LINE_BYTES)
    while block := file.read(size):
        lines = io.BytesIO(block).readlines()
        if lines[-1].endswith(b"\n"):
            yield lines
            continue
        n_left = MAX_LINE_BYTES - len(lines[-1])
        rest = file.readline(n_left)
        if len(rest) < n_left or rest.endswith(b"\n"):
            yield [*lines[:-1], lines[-1] + rest]
            continue
        if lines[:-1]:
            yield lines[:-1]
        _skip_line(file)
        yield None


def _skip_line(file: BinaryIO) -> None:
    rest = file.readline(MAX_LINE_BYTES)
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(MAX_LINE_BYTES)


def _decoded(lines: list[bytes] | None, first_line: int) -> Block:
    """The events of whole lines; a last one that is torn is called so."""
    if lines is None:
        return Block([], [], [(first_line, line_too_long(MAX_LINE_BYTES))], 1)
    block = decode_lines(lines, first_line)
    last = first_line + len(lines) - 1
    if lines[-1].endswith(b"\n") or last in block.lines[-1:]:
        return block
    whole = [entry for entry in block.issues if entry[0] < last]
    if len(whole) == len(block.issues):  # the last line is blank
        return block
    return block._replace(issues=[*whole, (last, torn_line(len(lines[-1])))])


def _strangers(lines: list[bytes] | None, first_line: int, block: Block) -> list[_Stranger]:
    """The lines before the first event of the schema, no more than matter."""
    if lines is None:
        return [_Stranger(first_line, None)]
    before = lines[: block.lines[0] - first_line] if block.lines else lines
    written = ((number, line) for number, line in enumerate(before, first_line) if line.strip())
    return [
        _Stranger(at, _described(line)) for at, line in itertools.islice(written, PATIENCE_LINES)
    ]


def _described(text: bytes | None) -> str | None:
    """What a JSON document is, by its keys; None where it is no mapping or list."""
    if text is None:
        return None
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return describe_foreign_log(value) if isinstance(value, dict | list) else None
