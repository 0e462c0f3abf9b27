"""What a reader of logs finds, row by row."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.foreign_logs.trainer_rows import RowEvents
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import KnownEvent


class NumberedRow(NamedTuple):
    """A row and its number, from 1; what is wrong with it where it cannot be read."""

    number: int
    row: Mapping[str, object] | LineIssue


class Found(NamedTuple):
    """The events of a row, and what was odd about it."""

    number: int
    events: tuple[KnownEvent, ...]
    issues: tuple[LineIssue, ...] = ()


class RunHead(NamedTuple):
    """What a log says of its run as a whole."""

    config: ConfigSnapshot = ConfigSnapshot()
    meta: Mapping[str, object] = {}


class RowFormat(NamedTuple):
    """How the rows of one kind of log are read; each function is pure and mutates nothing."""

    read: Callable[[Mapping[str, object], EventBuilder, float], RowEvents]
    """Row, builder, time stamp → events."""
    elapsed: Callable[[Mapping[str, object]], float | None]
    """Seconds since the run's start, where the row tells them."""
    planned: Callable[[Mapping[str, object]], int | None]
    """Steps that the run was to take, where the row tells them."""
    writes_text: bool = False
    """Whether the tool writes numbers as text under any key."""
