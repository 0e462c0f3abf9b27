"""The latest evaluation of each split, and the training loss beside it.

A pure, deterministic function of the event sequence.
"""

from collections.abc import Iterable, Mapping

import attrs
import msgspec
import numpy as np

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch
from gradience.core.signals.loss import recent_values, smoothed
from gradience.core.telemetry.events import Eval

REWARD_PREFIX = "reward"
"""Metric names that start so belong to preference or reinforcement learning, whose training
loss is no cross-entropy (TRL: ``rewards/chosen``, ``reward_std`` …)."""

MAX_SPLITS = 256
"""Splits kept apart; a run that names more has put something else into the split."""


class SplitEval(msgspec.Struct, frozen=True, kw_only=True):
    """The latest evaluation of one split."""

    split: str
    step: int | None
    metrics: Mapping[str, object]
    train_loss_smoothed: float | None
    """Mean of the last training losses logged before this evaluation; None: none was."""
    order: int
    """Position in the stream, so that the newest of several splits is known."""


class EvalSignal(msgspec.Struct, frozen=True, kw_only=True):
    """The latest evaluation of every split, in order of first appearance."""

    splits: tuple[SplitEval, ...] = ()
    n_evals: int = 0
    reward_metrics: bool = False
    """Whether the run logged reward metrics, so that its loss is no cross-entropy."""
    splits_dropped: int = 0


@attrs.frozen
class EvalState:
    """The latest evaluations and the training losses since."""

    latest: Mapping[str, SplitEval] = attrs.field(factory=dict)
    n_evals: int = 0
    recent: tuple[float, ...] = ()
    reward_metrics: bool = False
    splits_dropped: int = 0


def latest_evals() -> Analyzer[EvalState, EvalSignal]:
    """The analyzer of evaluations."""
    return Analyzer(EvalState, _update, _result)


def _update(state: EvalState, batch: Batch) -> EvalState:
    mask = batch.loss.finite()
    losses, positions = batch.loss.values[mask], batch.position[mask]
    latest = dict(state.latest)
    n_evals, dropped = state.n_evals, state.splits_dropped
    reward = state.reward_metrics or _has_reward(batch.extra_names)
    for position, event in batch.others:
        if not isinstance(event, Eval):
            continue
        n_evals += 1
        reward = reward or _has_reward(event.metrics)
        if event.split not in latest and len(latest) >= MAX_SPLITS:
            dropped += 1
            continue
        before = int(np.searchsorted(positions, position))
        latest[event.split] = SplitEval(
            split=event.split,
            step=event.step,
            metrics=event.metrics,
            train_loss_smoothed=smoothed(recent_values(state.recent, losses[:before])),
            order=position,
        )
    return EvalState(latest, n_evals, recent_values(state.recent, losses), reward, dropped)


def _has_reward(names: Iterable[str]) -> bool:
    return any(name.startswith(REWARD_PREFIX) for name in names)


def _result(state: EvalState) -> EvalSignal:
    return EvalSignal(
        splits=tuple(state.latest.values()),
        n_evals=state.n_evals,
        reward_metrics=state.reward_metrics,
        splits_dropped=state.splits_dropped,
    )
