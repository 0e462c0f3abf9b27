"""Telemetry that comes in pieces of bytes, folded into the analyzers as it comes."""

from gradience.core.signals.analyzer import RunState
from gradience.core.signals.batch import Batch, build_batch
from gradience.core.signals.pipeline import RunAnalyzer, RunSignals, run_analyzer
from gradience.core.telemetry.decode import Block, decode_block
from gradience.core.telemetry.events import AnyEvent
from gradience.core.telemetry.issues import IssueLog, TelemetryIssue, line_too_long, torn_line
from gradience.core.telemetry.step_rows import StepRow
from gradience.shell.telemetry.reader import BATCH_EVENTS, MAX_LINE_BYTES, PATIENCE_LINES

FOLD_EVENTS = 256
"""Events that wait before they are folded into the state for good: many small batches would make
each result, which goes over the last ones again, slow."""


class EventFold:
    """Events that come one by one, and the signals of all of them at any time.

    The signals are those of the same events in one batch: the analyzers' law.

    Args:
        analyzer: What is computed.
    """

    def __init__(self, analyzer: RunAnalyzer | None = None) -> None:
        self.n_events = 0
        self._analyzer = analyzer or run_analyzer()
        self._state: RunState[tuple[object, ...]] = self._analyzer.init()
        self._folded = 0
        self._waiting: list[StepRow | AnyEvent] = []

    def add(self, *rows: StepRow | AnyEvent) -> None:
        """Further events, in stream order."""
        self._waiting += rows
        self.n_events += len(rows)
        if len(self._waiting) >= FOLD_EVENTS:
            while self._waiting:
                self._state = self._analyzer.update(self._state, self._batch(self._waiting))
                self._folded += len(self._waiting[:BATCH_EVENTS])
                del self._waiting[:BATCH_EVENTS]

    def signals(self, *more: StepRow | AnyEvent) -> RunSignals:
        """The signals so far, and of ``more`` events as if they were added."""
        batch = self._batch([*self._waiting, *more])
        return self._analyzer.result(self._analyzer.update(self._state, batch))

    def _batch(self, rows: list[StepRow | AnyEvent]) -> Batch:
        return build_batch(rows[:BATCH_EVENTS], self._folded)


class TelemetryTail:
    """A telemetry file that is read piece by piece, each byte once.

    What stands in an unfinished last line waits for its newline. Whole lines are read as
    :class:`~gradience.shell.telemetry.reader.TelemetryReader` reads them.
    """

    def __init__(self) -> None:
        self.is_refused = False
        """Whether so many lines hold no record of the schema that the file is none of telemetry."""
        self._fold = EventFold()
        self._log = IssueLog()
        self._line = 1
        self._strangers = 0
        """Lines before the first event."""
        self._held = bytearray()
        """The unfinished last line."""
        self._skipping = False
        """Whether the unfinished last line is too long to be held."""

    @property
    def n_events(self) -> int:
        """Events in whole lines."""
        return self._fold.n_events

    def feed(self, data: bytes) -> None:
        """Reads the bytes that follow those before."""
        if self._skipping:
            end = data.find(b"\n") + 1
            if not end:
                return
            data = data[end:]
            self._skip_line()
        n_whole = data.rfind(b"\n") + 1
        if n_whole:
            first = data.find(b"\n") + 1
            if len(self._held) + first > MAX_LINE_BYTES:
                self._skip_line()
                self._take(data[first:n_whole])
            else:
                self._take(bytes(self._held) + data[:n_whole])
            self._held.clear()
        self._held += data[n_whole:]
        if len(self._held) >= MAX_LINE_BYTES:
            self._held.clear()
            self._skipping = True

    def signals(self, *, whole: bool = False) -> RunSignals:
        """The signals so far.

        Args:
            whole: Whether the file is over, so that a record without its newline counts.
        """
        return self._fold.signals(*self._last(whole=whole).rows)

    def issues(self, *, whole: bool = False) -> tuple[TelemetryIssue, ...]:
        """What was odd so far; with ``whole``, a torn last line too."""
        last = self._last(whole=whole)
        return self._log.add(last.issues).listed()

    def is_telemetry(self, *, whole: bool = False) -> bool:
        """Whether there is an event of the schema, so that the file is telemetry."""
        return bool(self.n_events or (not self.is_refused and self._last(whole=whole).rows))

    def _take(self, lines: bytes) -> None:
        block = decode_block(lines, self._line)
        if not self.n_events:
            first = block.lines[0] if block.rows else self._line + block.n_lines
            self._strangers += len({line for line, _ in block.issues if line < first})
            self.is_refused = self.is_refused or self._strangers >= PATIENCE_LINES
        if block.issues:
            self._log = self._log.add(block.issues)
        if not self.is_refused:
            self._fold.add(*block.rows)
        self._line += block.n_lines

    def _skip_line(self) -> None:
        self._log = self._log.add([(self._line, line_too_long(MAX_LINE_BYTES))])
        self._strangers += not self.n_events
        self._line += 1
        self._held.clear()
        self._skipping = False

    def _last(self, *, whole: bool) -> Block:
        """What the unfinished last line holds."""
        nothing = Block([], [], [], 0)
        if not whole:
            return nothing
        if self._skipping:
            return nothing._replace(issues=[(self._line, line_too_long(MAX_LINE_BYTES))])
        block = decode_block(bytes(self._held), self._line)
        if block.rows or not block.issues:
            return block
        return block._replace(issues=[(self._line, torn_line(len(self._held)))])
