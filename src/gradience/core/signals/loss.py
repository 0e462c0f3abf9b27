"""The training loss over a run: a pure, deterministic function of its training steps."""

import attrs
import msgspec
import numpy as np

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import NO_STEP, Batch, Floats
from gradience.core.signals.sums import running_sum

SMOOTHING_WINDOW = 10
"""Logged losses averaged into the smoothed loss; with the Trainer's logging every 10 steps,
a hundred steps: enough to average out batch noise, short beside a run."""


class LossSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of the logged training losses; numbers are over the finite ones.

    ``reason`` says why there is none.
    """

    n: int
    """Finite losses logged."""
    first: float | None = None
    last: float | None = None
    last_step: int | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    mean: float | None = None
    smoothed: float | None = None
    """Mean of the last finite losses, at most :data:`SMOOTHING_WINDOW`."""
    reason: str | None = None


@attrs.frozen
class LossState:
    """What the summary needs of the steps so far."""

    n: int = 0
    total: float = 0.0
    first: float | None = None
    minimum: float = np.inf
    min_step: int = NO_STEP
    maximum: float = -np.inf
    last_step: int = NO_STEP
    recent: tuple[float, ...] = ()


def loss_summary() -> Analyzer[LossState, LossSignal]:
    """The analyzer of the training loss."""
    return Analyzer(LossState, _update, _result)


def recent_values(recent: tuple[float, ...], values: Floats) -> tuple[float, ...]:
    """The last :data:`SMOOTHING_WINDOW` values of what was seen before and what comes now."""
    tail = values[-SMOOTHING_WINDOW:].tolist()
    return (*recent, *tail)[-SMOOTHING_WINDOW:]


def smoothed(recent: tuple[float, ...]) -> float | None:
    """Mean of the recent losses; None where there is none."""
    return sum(recent) / len(recent) if recent else None


def _update(state: LossState, batch: Batch) -> LossState:
    mask = batch.loss.finite()
    if not mask.any():
        return state
    losses, steps = batch.loss.values[mask], batch.step[mask]
    low = int(np.argmin(losses))
    new_low = losses[low] < state.minimum
    return LossState(
        n=state.n + losses.size,
        total=running_sum(state.total, losses),
        first=float(losses[0]) if state.first is None else state.first,
        minimum=float(losses[low]) if new_low else state.minimum,
        min_step=int(steps[low]) if new_low else state.min_step,
        maximum=max(state.maximum, float(losses.max())),
        last_step=int(steps[-1]),
        recent=recent_values(state.recent, losses),
    )


def _result(state: LossState) -> LossSignal:
    if not state.n:
        return LossSignal(n=0, reason="no finite training loss was logged")
    return LossSignal(
        n=state.n,
        first=state.first,
        last=state.recent[-1],
        last_step=known_step(state.last_step),
        min=state.minimum,
        min_step=known_step(state.min_step),
        max=state.maximum,
        mean=state.total / state.n,
        smoothed=smoothed(state.recent),
    )


def known_step(step: int) -> int | None:
    """The step, or None where the record did not give one."""
    return None if step == NO_STEP else step
