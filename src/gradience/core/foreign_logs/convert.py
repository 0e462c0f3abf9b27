"""Rows of a foreign log, as the events of one run of telemetry v1."""

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gradience.core.config.snapshot import ConfigSnapshot, TrainingSnapshot
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.line_formats import ROW_FORMATS
from gradience.core.foreign_logs.row_values import is_too_deep, with_numbers
from gradience.core.foreign_logs.rows import Found, NumberedRow, RowFormat, RunHead
from gradience.core.foreign_logs.trainer_rows import TRAIN_SUMMARY
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.clock import CLOCK, ELAPSED_CLOCK, NO_CLOCK
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import (
    KnownEvent,
    Metrics,
    RunStatus,
    TrainStep,
)

IDENTITY_ROWS = 4
"""First rows that a converted run's id is made of: enough to tell runs of a sweep apart, few
enough that a log's checkpoints and its later versions keep their id."""

CONVERTED_FROM = "converted_from"
"""Key in ``run_start.meta``: the kind of log that a run was read from."""

_ID_DIGITS = 12

_TOO_DEEP = LineIssue(
    Severity.WARNING, "too_deep", "expected a row of logged values, found deep nesting; not read"
)


def convert_rows(
    kind: LogFileKind, rows: Iterable[NumberedRow], head: RunHead | None = None
) -> Iterator[Found]:
    """Turns the rows of a log into the events of one run, in record order and bounded memory.

    The first event is a ``run_start``. A ``run_end`` comes last where the Trainer's closing
    summary was logged and no training step follows it, or where the last planned step was
    reached. Converting the same rows again gives the same events.

    Args:
        kind: Whose rows they are; any but ``TELEMETRY_V1``.
        rows: The rows, or what is wrong with them, in order. Never mutated.
        head: What the file says of the run, where it says it outside its rows.

    Yields:
        The events of each row, and what was odd about it.
    """
    layout = ROW_FORMATS[kind]
    remaining = iter(rows)
    first = list(itertools.islice(remaining, IDENTITY_ROWS))
    given = [row for _, row in first if isinstance(row, Mapping) and not is_too_deep(row)]
    start = _head(kind, layout, given, head)
    builder = EventBuilder(run_id=run_id(kind, given, start.config))
    yield Found(0, (builder.run_start(0.0, None, start.config, start.meta, {}),))
    reached = real_number(start.meta.get("global_step"))
    progress = _Progress(planned=start.config.training.max_steps, reached=reached or 0.0)
    for numbered in itertools.chain(first, remaining):
        found, progress = _convert(numbered, layout, builder, progress)
        yield found
    if progress.closing is not None:
        end = builder.run_end(progress.ts, progress.closing.step, RunStatus.OK, None, {})
        yield Found(0, (end,))
    elif progress.planned is not None and progress.reached >= progress.planned > 0:
        reason = f"the last of {progress.planned} planned steps was reached"
        end = builder.run_end(progress.ts, progress.planned, RunStatus.OK, reason, {})
        yield Found(0, (end,))


def run_id(
    kind: LogFileKind, first_rows: Sequence[Mapping[str, object]], config: ConfigSnapshot
) -> str:
    """The id of a converted run: the kind, and a digest of the run's plan and first rows."""
    training = config.training
    said = repr((kind.value, training.max_steps, training.epochs, list(first_rows)))
    digest = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
    return f"{kind.value}-{digest[:_ID_DIGITS]}"


def meta_of(kind: LogFileKind, clock: str) -> dict[str, object]:
    """What the ``meta`` of every converted run says."""
    return {CONVERTED_FROM: kind.value, CLOCK: clock}


class _Closing(NamedTuple):
    """The closing summary was the last word on training."""

    step: int | None


class _Progress(NamedTuple):
    """How far the conversion of a run is."""

    planned: int | None
    ts: float = 0.0
    closing: _Closing | None = None
    reached: float = 0.0
    """The furthest training step."""


def _head(
    kind: LogFileKind,
    layout: RowFormat,
    first_rows: Sequence[Mapping[str, object]],
    head: RunHead | None,
) -> RunHead:
    rows = [with_numbers(row, all_keys=layout.writes_text).row for row in first_rows]
    told = any(layout.elapsed(row) is not None for row in rows)
    meta = meta_of(kind, ELAPSED_CLOCK if told else NO_CLOCK)
    if head is not None:
        return RunHead(head.config, {**head.meta, **meta})
    planned = next((n for row in rows if (n := layout.planned(row)) is not None), None)
    return RunHead(ConfigSnapshot(training=TrainingSnapshot(max_steps=planned)), meta)


def _convert(
    numbered: NumberedRow, layout: RowFormat, builder: EventBuilder, progress: _Progress
) -> tuple[Found, _Progress]:
    number, row = numbered
    if isinstance(row, LineIssue):
        return Found(number, (), (row,)), progress
    if is_too_deep(row):
        return Found(number, (), (_TOO_DEEP,)), progress
    numbers = with_numbers(row, all_keys=layout.writes_text)
    elapsed, planned = layout.elapsed(numbers.row), layout.planned(numbers.row)
    ts = elapsed if elapsed is not None and math.isfinite(elapsed) else progress.ts
    read = layout.read(numbers.row, builder, ts)
    issues = (*numbers.issues(), *_changed_plan(progress.planned, planned), *read.issues)
    known = progress.planned if planned is None else planned
    closing = _closing(progress.closing, read.events)
    steps = [event.step or 0 for event in read.events if isinstance(event, TrainStep)]
    reached = max(progress.reached, *steps) if steps else progress.reached
    return Found(number, read.events, issues), _Progress(known, ts, closing, reached)


def _closing(before: _Closing | None, events: Sequence[KnownEvent]) -> _Closing | None:
    for event in events:
        if isinstance(event, TrainStep):
            before = None
        elif isinstance(event, Metrics) and event.kind == TRAIN_SUMMARY:
            before = _Closing(event.step)
    return before


def _changed_plan(before: int | None, planned: int | None) -> tuple[LineIssue, ...]:
    if before is None or planned is None or planned == before:
        return ()
    message = (
        f"expected {before} steps in all as in the rows before, found {planned}: several runs "
        "seem to have been written to one file"
    )
    return (LineIssue(Severity.WARNING, "planned_steps_changed", message),)
