"""Runs rows through the conversion, as the tests do."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gradience.core.foreign_logs.convert import convert_rows
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.rows import Found, NumberedRow
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import Eval, KnownEvent, Metrics, RunEnd, RunStart, TrainStep


class Converted(NamedTuple):
    """The events and issues of a log."""

    events: tuple[KnownEvent, ...]
    issues: tuple[tuple[int, LineIssue], ...]

    @property
    def start(self) -> RunStart:
        """The first event."""
        assert isinstance(self.events[0], RunStart)
        return self.events[0]

    @property
    def steps(self) -> tuple[TrainStep, ...]:
        """The training steps."""
        return tuple(event for event in self.events if isinstance(event, TrainStep))

    @property
    def evals(self) -> tuple[Eval, ...]:
        """The evaluations."""
        return tuple(event for event in self.events if isinstance(event, Eval))

    @property
    def metrics(self) -> tuple[Metrics, ...]:
        """The groups of numbers."""
        return tuple(event for event in self.events if isinstance(event, Metrics))

    @property
    def end(self) -> RunEnd | None:
        """The last event, where the run ended."""
        return self.events[-1] if isinstance(self.events[-1], RunEnd) else None


def converted(kind: LogFileKind, *rows: Mapping[str, object] | LineIssue) -> Converted:
    """The rows of a log of ``kind``, numbered from 1."""
    return gathered(convert_rows(kind, (NumberedRow(n, row) for n, row in enumerate(rows, 1))))


def gathered(found: Iterable[Found]) -> Converted:
    """The events and issues of what a conversion yields."""
    pieces = list(found)
    return Converted(
        tuple(event for piece in pieces for event in piece.events),
        tuple((piece.number, issue) for piece in pieces for issue in piece.issues),
    )
