"""The perplexity gap of a run: what it optimises, and how its losses relate, considered."""

from collections.abc import Iterator

import msgspec
import numpy as np

from gradience.core.monitoring.conditions.robust import median
from gradience.core.monitoring.gap import TRAIN_SPLIT, Gap, GapPolicy, perplexity_gap
from gradience.core.signals.eval_history import EvalHistory
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals

LABEL_SMOOTHING = "label_smoothing_factor"
"""Name, in the training part's extras, of the label smoothing."""


REGRESSION_METRICS = frozenset(
    {"mse", "rmse", "mae", "mape", "r2", "r2_score", "pearson", "pearsonr", "spearmanr"}
)
"""Metrics of evaluations that score numbers."""


def run_gap(signals: RunSignals, policy: GapPolicy | None = None) -> Gap:
    """exp(held-out loss - training loss) of a run, or why there is none.

    Args:
        signals: What the analyzers found.
        policy: Which split is held out, and from where on losses are not comparable.

    Returns:
        The gap. It is not claimed for preference and reinforcement learning, whose losses are
        no cross-entropies; ``doubt`` says where it has another cause than memorisation.
    """
    policy = policy or GapPolicy()
    objective = signals.objective
    gap = perplexity_gap(signals.evals, signals.loss, policy)
    if objective.kind is not Objective.SUPERVISED:
        kind = f"{objective.kind.value} learning ({objective.because})"
        return Gap(reason=f"this is {kind}: its training loss is no cross-entropy")
    if gap.value is None:
        return gap
    doubts = "; ".join(_doubts(signals, gap, policy))
    return msgspec.structs.replace(gap, doubt=doubts) if doubts else gap


def _doubts(signals: RunSignals, gap: Gap, policy: GapPolicy) -> Iterator[str]:
    others = [entry.split for entry in signals.evals.splits if entry.split != TRAIN_SPLIT]
    if len(others) > 1 and gap.held_out_split not in policy.held_out_splits:
        yield (
            f"{gap.held_out_split!r} is one of {len(others)} evaluation sets and none is named as "
            "the held-out part of the training data: a harder set has a gap too"
        )
    if signals.objective.classification:
        yield (
            "labels are scored: the exponential of their loss is no perplexity of a language "
            "model, and confident mistakes alone make it large"
        )
    scored = {n for e in signals.evals.splits if e.split == gap.held_out_split for n in e.metrics}
    if not REGRESSION_METRICS.isdisjoint(scored):
        yield "numbers are predicted: the exponential of their loss is no perplexity"
    config = signals.run.config
    smoothing = config.training.extras.get(LABEL_SMOOTHING) if config else None
    if isinstance(smoothing, int | float) and smoothing > 0:
        yield f"the losses hold a label smoothing of {smoothing:g}"
    multiple = _fixed_multiple(signals.eval_histories, gap, policy)
    if gap.estimated and multiple is not None:
        yield (
            f"the held-out loss has been {multiple:.3g} x the training loss from the first "
            "evaluation on: a difference of scale, where memorisation grows"
        )


def _fixed_multiple(
    histories: tuple[EvalHistory, ...], gap: Gap, policy: GapPolicy
) -> float | None:
    """Held-out over training loss where that stayed the same while both came down."""
    history = next((h for h in histories if h.split == gap.held_out_split), None)
    if history is None:
        return None
    held_out, train = history.loss.value, history.train_loss
    both = np.isfinite(held_out) & np.isfinite(train) & (held_out > 0) & (train > 0)
    held_out, train = held_out[both], train[both]
    few = held_out.size < policy.fixed_ratio_evals
    if few or held_out[-1] > policy.fixed_ratio_fall * held_out[0]:
        return None
    with np.errstate(over="ignore"):
        ratio = held_out / train
    middle = median(ratio)
    spread = float(ratio.max() - ratio.min())
    return middle if spread <= policy.fixed_ratio_spread * middle else None
