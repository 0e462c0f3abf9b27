"""Where a run goes on from a checkpoint: a ``run_start`` whose ``meta`` names the step."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gradience.core.signals.batch import Batch
from gradience.core.telemetry.events import RunStart

RESUMED_FROM_STEP = "resumed_from_step"
"""Key in the ``meta`` of the ``run_start`` that a resume writes: the checkpoint's step."""

LAST_STEP = 2**63 - 1
"""Largest step that an event can have; there is nothing to resume from it."""


class Segment(NamedTuple):
    """Events between two resumes."""

    resumed_from: int | None
    """The step that the first of the events resumes from; None where it resumes nothing."""
    events: Batch


def resumed_from(meta: Mapping[str, object]) -> int | None:
    """The step of the checkpoint that a run start goes on from.

    Returns:
        The step, from 0 (training began again); None where ``meta`` names none, or no integer
        that can be a step.
    """
    step = meta.get(RESUMED_FROM_STEP)
    if isinstance(step, bool) or not isinstance(step, int):
        return None
    return step if 0 <= step < LAST_STEP else None


def segments(batch: Batch) -> Iterator[Segment]:
    """Cuts a batch before every resume.

    Args:
        batch: Events of one run.

    Yields:
        The events before the first resume (left out where there is none), then those from each
        resume on.
    """
    position, step = batch.start, None
    for place, event in batch.others:
        found = resumed_from(event.meta) if isinstance(event, RunStart) else None
        if found is None:
            continue
        if place > position or step is not None:
            yield Segment(step, batch.slice(position, place))
        position, step = place, found
    whole = position == batch.start
    yield Segment(step, batch if whole else batch.slice(position, batch.stop))
