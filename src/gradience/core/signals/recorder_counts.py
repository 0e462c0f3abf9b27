"""What the recorder counted and wrote beside its events: events lost, steps that were not finite.

A pure, deterministic function of the event sequence. The counts stand whatever the run resumes
from: what was seen was seen.
"""

from collections.abc import Mapping

import attrs
import msgspec

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch, PlacedExtras
from gradience.core.telemetry.events import DROPPED_EVENTS, AnyEvent, UnknownEvent

NONFINITE_GRAD_STEPS = "nonfinite_grad_steps"
"""Key, in a training step, of the optimizer steps since the step logged before it at which a
gradient was not finite."""

NONFINITE_PARAM_STEPS = "nonfinite_param_steps"
"""The same of the trainable parameters."""

_COUNTS = frozenset({DROPPED_EVENTS, NONFINITE_GRAD_STEPS, NONFINITE_PARAM_STEPS})

MAX_COUNT = 2**53
"""Counts stop here: far beyond any run, and within the reach of every JSON parser."""


class StepCount(msgspec.Struct, frozen=True, kw_only=True):
    """A sum, and the steps of the first and the last record that added to it."""

    count: int = 0
    first_step: int | None = None
    last_step: int | None = None


class RecorderCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The recorder's own counts, each summed over the run."""

    dropped_events: StepCount = StepCount()
    nonfinite_grad_steps: StepCount = StepCount()
    nonfinite_param_steps: StepCount = StepCount()


@attrs.frozen
class RecorderCountsState:
    """The same, while they are being gathered."""

    signal: RecorderCounts = RecorderCounts()


def recorder_counts() -> Analyzer[RecorderCountsState, RecorderCounts]:
    """The analyzer of the recorder's counts."""
    return Analyzer(RecorderCountsState, _update, lambda state: state.signal)


def _update(state: RecorderCountsState, batch: Batch) -> RecorderCountsState:
    grads, params = state.signal.nonfinite_grad_steps, state.signal.nonfinite_param_steps
    lossy = [
        PlacedExtras(position, event.step, further)
        for position, event in batch.others
        if (further := _further_keys(event)).get(DROPPED_EVENTS)
    ]
    placed = () if _COUNTS.isdisjoint(batch.extra_names) else batch.placed_extras()
    for entry in placed:
        if entry.extras.get(NONFINITE_GRAD_STEPS):
            grads = _add(grads, entry.extras[NONFINITE_GRAD_STEPS], entry.step)
        if entry.extras.get(NONFINITE_PARAM_STEPS):
            params = _add(params, entry.extras[NONFINITE_PARAM_STEPS], entry.step)
        if entry.extras.get(DROPPED_EVENTS):
            lossy.append(entry)
    dropped = state.signal.dropped_events
    for entry in sorted(lossy, key=lambda entry: entry.position):
        dropped = _add(dropped, entry.extras[DROPPED_EVENTS], entry.step)
    return RecorderCountsState(
        RecorderCounts(
            dropped_events=dropped, nonfinite_grad_steps=grads, nonfinite_param_steps=params
        )
    )


def _further_keys(event: AnyEvent) -> Mapping[str, object]:
    return event.payload if isinstance(event, UnknownEvent) else event.extras


def _add(known: StepCount, value: object, step: int | None) -> StepCount:
    """The sum with a count in it; a value that is no positive integer counts nothing."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return known
    return StepCount(
        count=min(known.count + value, MAX_COUNT),
        first_step=known.first_step if known.count else step,
        last_step=step,
    )
