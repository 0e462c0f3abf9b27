"""The gap between held-out and training perplexity."""

import math
from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

import attrs
import msgspec

from gradience.core.errors import ConfigError
from gradience.core.numbers import real_number
from gradience.core.signals.evals import EvalSignal, SplitEval
from gradience.core.signals.loss import LossSignal

TRAIN_SPLIT = "train"
"""The split whose evaluation gives the exact training perplexity."""

FROM_EVAL = "eval"
"""The training side is an evaluation of the training split at the step of the held-out one."""

FROM_LOSS = "smoothed training loss"
"""The training side is estimated from the logged training losses."""

FROM_OTHER_EVAL = "eval at another step"
"""The training side is an evaluation of the training split elsewhere: no loss was logged."""


class EvalMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics of one evaluation; what is not among the four is in ``extras``."""

    loss: float | None = None
    """Mean cross-entropy per token or example, nats."""
    ppl: float | None = None
    accuracy: float | None = None
    """A fraction, 0 to 1."""
    n: float | None = None
    extras: Mapping[str, object] = {}


@attrs.frozen(kw_only=True)
class GapPolicy:
    """How the gap is measured and from where on it is called memorisation."""

    threshold: float = attrs.field(default=1.5)
    """Held-out over training perplexity (source: the contract's ``--gap-threshold``). No
    published threshold is known, so an alert on it is a hint, not a verdict."""
    held_out_splits: tuple[str, ...] = ("test", "val", "validation", "eval", "dev")
    """Names of held-out splits, first match wins; else the newest split that is not train."""
    train_above: float = 2.0
    """Where even the smallest logged training loss is this many times the held-out one, the two
    are not the same quantity: summed over accumulation steps (one published run logs 16.5 times
    its evaluation loss at 16 of them), smoothed labels, mixed-up inputs (the edge is inferred)."""
    most_nats: float = 20.0
    """No cross-entropy of a model that learned anything: guessing from the largest vocabularies,
    of some 260,000 tokens, costs ln of that, 12.5 (the margin is inferred)."""
    fixed_ratio_spread: float = 0.1
    """Relative spread of held-out over training loss, over the evaluations of a run, up to which
    one is a fixed multiple of the other: a scale, where memorisation grows (inferred)."""
    fixed_ratio_evals: int = 3
    """Evaluations from which on such a ratio counts as fixed (inferred)."""
    fixed_ratio_fall: float = 0.8
    """The held-out loss must have come down to this share of its first value meanwhile: two
    losses that stand still have a fixed ratio too (inferred)."""

    @threshold.validator
    def _is_a_number(self, _: object, threshold: float) -> None:
        if math.isnan(threshold):
            raise ConfigError(
                "gap threshold: expected a number, found NaN, above which no gap can be. Give the "
                "ratio of the perplexities from which on to warn, such as 1.5."
            )


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Held-out over training perplexity, with where both come from.

    ``value`` is None where the gap cannot be told; ``reason`` then says why. It may be infinite
    where it overflows a float; ``log`` is the difference of the losses, which does not.
    """

    value: float | None = None
    log: float | None = None
    """Held-out minus training loss, nats."""
    held_out_split: str | None = None
    held_out_step: int | None = None
    train_source: str | None = None
    """One of :data:`FROM_EVAL`, :data:`FROM_LOSS` and :data:`FROM_OTHER_EVAL`."""
    estimated: bool = False
    """Whether the training side is no evaluation at the step of the held-out one."""
    reason: str | None = None
    same_quantity: bool = True
    """Whether both losses measure the same thing, as far as their sizes tell."""
    doubt: str | None = None
    """Why a large value is no sign of memorisation by itself; None where it is one."""


class TrainSide(NamedTuple):
    """The training side of the gap."""

    metrics: EvalMetrics = EvalMetrics()
    estimated: bool = False
    """Whether it is no evaluation at the step of the held-out one."""
    source: str | None = None
    """As in :class:`Gap`."""


def eval_metrics(metrics: Mapping[str, object]) -> EvalMetrics:
    """Sorts the metrics of an evaluation into loss, perplexity, accuracy, n and the rest.

    A value under one of the four names that is no number stays among the extras.
    """
    named = {"loss": "loss", "ppl": "ppl", "perplexity": "ppl", "accuracy": "accuracy", "n": "n"}
    found: dict[str, float] = {}
    extras: dict[str, object] = {}
    for key, value in metrics.items():
        field = named.get(key)
        number = real_number(value)
        if field is None or number is None or field in found:
            extras[key] = value
        else:
            found[field] = number
    return EvalMetrics(
        loss=found.get("loss"),
        ppl=found.get("ppl"),
        accuracy=found.get("accuracy"),
        n=found.get("n"),
        extras=extras,
    )


def held_out_eval(evals: EvalSignal, policy: GapPolicy) -> SplitEval | None:
    """The evaluation that stands for held-out data, or None."""
    by_split = {entry.split: entry for entry in evals.splits}
    for name in policy.held_out_splits:
        if name in by_split:
            return by_split[name]
    others = [entry for entry in evals.splits if entry.split != TRAIN_SPLIT]
    return max(others, key=lambda entry: entry.order, default=None)


def log_perplexity(metrics: EvalMetrics) -> float | None:
    """ln(perplexity), from ``ppl`` or else the loss; None where neither is usable."""
    if _is_perplexity(metrics.ppl):
        return math.log(metrics.ppl)
    if metrics.loss is not None and math.isfinite(metrics.loss):
        return metrics.loss
    return None


def perplexity(log_ppl: float | None) -> float | None:
    """Exp of a mean cross-entropy in nats; infinite where that overflows, None for None."""
    if log_ppl is None:
        return None
    try:
        return math.exp(log_ppl)
    except OverflowError:
        return math.inf


def train_metrics(evals: EvalSignal, loss: LossSignal, policy: GapPolicy) -> TrainSide:
    """The training side: an evaluation of the training split, else the smoothed loss.

    An evaluation of the training split counts as exact where it was made at the step of the
    held-out one, or a step is unknown. One of another step is taken only where there is no
    smoothed loss. That loss is the one at the time of the held-out evaluation where there is one.

    Returns:
        The metrics, whether they are estimated, and where they come from.
    """
    held_out = held_out_eval(evals, policy)
    train = next((entry for entry in evals.splits if entry.split == TRAIN_SPLIT), None)
    if train is not None and _same_step(train, held_out):
        return TrainSide(_train_eval(train), estimated=False, source=FROM_EVAL)
    smoothed = loss.smoothed if held_out is None else held_out.train_loss_smoothed
    if smoothed is not None:
        ppl = None if evals.reward_metrics else perplexity(smoothed)
        metrics = EvalMetrics(loss=smoothed, ppl=ppl)
        return TrainSide(metrics, estimated=True, source=FROM_LOSS)
    if train is not None:
        return TrainSide(_train_eval(train), estimated=True, source=FROM_OTHER_EVAL)
    return TrainSide()


def _same_step(train: SplitEval, held_out: SplitEval | None) -> bool:
    steps = {train.step, None if held_out is None else held_out.step}
    return None in steps or len(steps) == 1


def _train_eval(train: SplitEval) -> EvalMetrics:
    metrics = eval_metrics(train.metrics)
    filled = metrics.ppl if metrics.ppl is not None else perplexity(log_perplexity(metrics))
    return msgspec.structs.replace(metrics, ppl=filled)


def perplexity_gap(evals: EvalSignal, loss: LossSignal, policy: GapPolicy) -> Gap:
    """exp(held-out loss - training loss), or why there is none.

    Args:
        evals: The latest evaluations.
        loss: The training loss.
        policy: Which split is held out.

    Returns:
        The gap. It is not claimed for runs with reward metrics (their loss is no
        cross-entropy), nor where a side is missing, not finite or negative, nor where the
        logged training loss stands so far above that it must be another quantity.
    """
    held_out = held_out_eval(evals, policy)
    if held_out is None:
        return Gap(reason="no evaluation of held-out data was logged")
    if evals.reward_metrics:
        return Gap(reason="the run logs rewards: its training loss is no cross-entropy")
    test = eval_metrics(held_out.metrics)
    above = log_perplexity(test)
    if above is None:
        return Gap(reason=f"the evaluation of split {held_out.split!r} has no finite loss")
    train = train_metrics(evals, loss, policy)
    below = log_perplexity(train.metrics)
    if below is None:
        return Gap(reason="no finite training loss was logged before the evaluation")
    apart = _another_quantity(above, train, loss, policy)
    if apart is not None:
        return Gap(reason=apart, same_quantity=False)
    return Gap(
        value=_ratio(test, train, above - below),
        log=above - below,
        held_out_split=held_out.split,
        held_out_step=held_out.step,
        train_source=train.source,
        estimated=train.estimated,
    )


def _another_quantity(
    held_out: float, train: TrainSide, loss: LossSignal, policy: GapPolicy
) -> str | None:
    """Why the two sides are not the same kind of number; None where they may be."""
    below = log_perplexity(train.metrics)
    if held_out < 0 or (below is not None and below < 0):
        return "a loss is negative: it is no cross-entropy"
    if train.source != FROM_LOSS or loss.min is None or held_out == 0:
        return None
    if held_out > policy.most_nats:
        return (
            f"a held-out loss of {held_out:.4g} is more than guessing costs with any vocabulary: "
            "it is no cross-entropy, or the model is lost"
        )
    if loss.min < policy.train_above * held_out:
        return None
    return (
        f"even the smallest logged training loss ({loss.min:.4g}) is {loss.min / held_out:.3g} x "
        f"the held-out one ({held_out:.4g}): they are not the same quantity (a loss summed over "
        "accumulation steps, smoothed labels, augmented inputs)"
    )


def _ratio(test: EvalMetrics, train: TrainSide, log_gap: float) -> float | None:
    """The plain ratio where both perplexities were logged: no rounding through logarithms."""
    below = train.metrics.ppl
    if train.source == FROM_LOSS or not _is_perplexity(test.ppl) or not _is_perplexity(below):
        return perplexity(log_gap)
    ratio = test.ppl / below
    return ratio if math.isfinite(ratio) else perplexity(log_gap)


def _is_perplexity(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value) and value > 0
