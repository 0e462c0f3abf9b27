"""The learning rate over a run: a pure, deterministic function of its training steps."""

import attrs
import msgspec
import numpy as np

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import NO_STEP, Batch
from gradience.core.signals.loss import known_step


class LearningRateSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of the logged learning rates (the largest over the parameter groups).

    ``reason`` says why there is none.
    """

    n: int
    """Finite rates logged."""
    first: float | None = None
    last: float | None = None
    peak: float | None = None
    peak_step: int | None = None
    min: float | None = None
    reason: str | None = None


@attrs.frozen
class LearningRateState:
    """What the summary needs of the steps so far."""

    n: int = 0
    first: float | None = None
    last: float | None = None
    peak: float = -np.inf
    peak_step: int = NO_STEP
    minimum: float = np.inf


def learning_rate_summary() -> Analyzer[LearningRateState, LearningRateSignal]:
    """The analyzer of the learning rate."""
    return Analyzer(LearningRateState, _update, _result)


def _update(state: LearningRateState, batch: Batch) -> LearningRateState:
    mask = batch.lr.finite()
    if not mask.any():
        return state
    rates, steps = batch.lr.values[mask], batch.step[mask]
    top = int(np.argmax(rates))
    new_peak = rates[top] > state.peak
    return LearningRateState(
        n=state.n + rates.size,
        first=float(rates[0]) if state.first is None else state.first,
        last=float(rates[-1]),
        peak=float(rates[top]) if new_peak else state.peak,
        peak_step=int(steps[top]) if new_peak else state.peak_step,
        minimum=min(state.minimum, float(rates.min())),
    )


def _result(state: LearningRateState) -> LearningRateSignal:
    if not state.n:
        return LearningRateSignal(n=0, reason="no finite learning rate was logged")
    return LearningRateSignal(
        n=state.n,
        first=state.first,
        last=state.last,
        peak=state.peak,
        peak_step=known_step(state.peak_step),
        min=state.minimum,
    )
