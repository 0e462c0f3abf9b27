"""How long steps and evaluations take, by the time stamps of their records.

Intervals lie between neighbouring records. One that ends at a later training step is training;
one that ends at an evaluation of the same step is evaluating; others (repeated or backward rows,
training steps before an evaluation that none of them logged) tell no speed.
"""

import math
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.signals.batch import Batch, Floats, Ints, Mask
from gradience.core.signals.sums import running_sum
from gradience.core.telemetry.events import Eval

RECENT = 32
"""Intervals between logged steps whose median is the recent speed."""

MOST_STEPS = 2**53
"""Longest run that is reckoned with; beyond it a float cannot tell neighbouring steps apart."""


class Mark(NamedTuple):
    """A step that was reached at a time."""

    step: int
    ts: float


@attrs.frozen
class StepTiming:
    """What the time stamps told so far."""

    mark: Mark | None = None
    """The latest training step or evaluation."""
    recent: tuple[float, ...] = ()
    """Seconds per step of the last training intervals, at most :data:`RECENT`."""
    active_s: float = 0.0
    """Seconds in all intervals that do not go backward."""
    active_steps: int = 0
    evaluation_s: float = 0.0


def timed(timing: StepTiming, batch: Batch) -> StepTiming:
    """Adds a batch's intervals: to training, to evaluating, or to neither.

    Args:
        timing: What is known so far.
        batch: Events of one run; those without a step or a finite time stamp are left out.
    """
    step, ts, is_eval = _marks(timing, batch)
    if not step.size:
        return timing
    with np.errstate(over="ignore"):
        passed, went = np.diff(ts), np.diff(step.astype(np.float64))
    forward = (passed > 0) & np.isfinite(passed) & (went >= 0) & (went <= MOST_STEPS)
    trained = forward & (went > 0) & ~is_eval[1:]
    evaluated = forward & (went == 0) & is_eval[1:]
    seconds = passed[trained][-RECENT:] / went[trained][-RECENT:]
    steps = int(min(went[forward].sum(), MOST_STEPS))
    return StepTiming(
        mark=Mark(int(step[-1]), float(ts[-1])),
        recent=(*timing.recent, *seconds.tolist())[-RECENT:],
        active_s=running_sum(timing.active_s, passed[forward]),
        active_steps=min(timing.active_steps + steps, MOST_STEPS),
        evaluation_s=running_sum(timing.evaluation_s, passed[evaluated]),
    )


def interrupted(timing: StepTiming) -> StepTiming:
    """Before a run goes on: the time that passes until its next event counts for nothing."""
    return attrs.evolve(timing, mark=None)


class _Marks(NamedTuple):
    """Training steps and evaluations in the order of the record."""

    step: Ints
    ts: Floats
    is_eval: Mask


def _after(timing: StepTiming, step: Ints, ts: Floats) -> _Marks:
    """Training steps alone, after the mark."""
    if timing.mark is not None:
        step = np.append(timing.mark.step, step)
        ts = np.append(timing.mark.ts, ts)
    return _Marks(step, ts, np.zeros(step.size, dtype=np.bool_))


def _marks(timing: StepTiming, batch: Batch) -> _Marks:
    usable = (batch.step >= 0) & np.isfinite(batch.ts)
    evals = [
        (place, event.step, event.ts)
        for place, event in batch.others
        if isinstance(event, Eval)
        and event.step is not None
        and event.step >= 0
        and math.isfinite(event.ts)
    ]
    if not evals:
        return _after(timing, batch.step[usable], batch.ts[usable])
    place = np.array([place for place, _, _ in evals], dtype=np.int64)
    order = np.argsort(np.concatenate([batch.position[usable], place]), kind="stable")
    step = np.concatenate([batch.step[usable], np.array([s for _, s, _ in evals], dtype=np.int64)])
    ts = np.concatenate([batch.ts[usable], np.array([t for _, _, t in evals], dtype=np.float64)])
    is_eval = np.arange(order.size) >= order.size - place.size
    step, ts, is_eval = step[order], ts[order], is_eval[order]
    if timing.mark is not None:
        step = np.concatenate([[timing.mark.step], step])
        ts = np.concatenate([[timing.mark.ts], ts])
        is_eval = np.concatenate([[False], is_eval])
    return _Marks(step, ts, is_eval)
