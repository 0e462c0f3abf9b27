"""The signal snapshot of the contract: a run in a few numbers."""

from collections.abc import Mapping

import msgspec

from gradience.core.monitoring.gap import (
    FROM_LOSS,
    EvalMetrics,
    Gap,
    GapPolicy,
    eval_metrics,
    held_out_eval,
    log_perplexity,
    perplexity,
    train_metrics,
)
from gradience.core.monitoring.run_gap import run_gap
from gradience.core.numbers import real_number
from gradience.core.signals.pipeline import RunSignals

__all__ = ["EvalMetrics", "SignalSnapshot", "eval_metrics", "signal_snapshot"]


class SignalSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The signals of a run. ``train`` and ``test`` are the latest; ``test`` is held-out data.

    ``extras`` says which split is meant, what is estimated, and holds the latest evaluation of
    every further split.
    """

    train: EvalMetrics = EvalMetrics()
    test: EvalMetrics = EvalMetrics()
    gap: float | None = None
    """Held-out over training perplexity."""
    stable_rank_mean: float | None = None
    utilization_mean: float | None = None
    dominance_act_mean: float | None = None
    kappa_mean: float | None = None
    extras: Mapping[str, object] = {}


def signal_snapshot(
    signals: RunSignals, policy: GapPolicy | None = None, gap: Gap | None = None
) -> SignalSnapshot:
    """Condenses the analyzers' results into the contract's snapshot.

    Args:
        signals: The signals of one run.
        policy: Which split is held out.
        gap: The gap of these signals under this policy, where it is known already.

    Returns:
        The snapshot; what the run did not log is None.
    """
    policy = policy or GapPolicy()
    gap = gap or run_gap(signals, policy)
    train = train_metrics(signals.evals, signals.loss, policy)
    audit = signals.records.lora_audit or {}
    known = train.metrics
    if train.source == FROM_LOSS and not gap.same_quantity:
        known = msgspec.structs.replace(known, ppl=None)
    return SignalSnapshot(
        train=known,
        test=_test_metrics(signals, policy),
        gap=gap.value,
        stable_rank_mean=_audited(audit, "stable_rank_mean"),
        utilization_mean=_audited(audit, "utilization_mean"),
        dominance_act_mean=_audited(audit, "dominance_act_mean"),
        kappa_mean=_audited(audit, "kappa_mean"),
        extras=_extras(signals, gap, estimated=train.estimated),
    )


def _test_metrics(signals: RunSignals, policy: GapPolicy) -> EvalMetrics:
    held_out = held_out_eval(signals.evals, policy)
    if held_out is None:
        return EvalMetrics()
    metrics = eval_metrics(held_out.metrics)
    if metrics.ppl is not None or signals.evals.reward_metrics:
        return metrics
    return msgspec.structs.replace(metrics, ppl=perplexity(log_perplexity(metrics)))


def _extras(signals: RunSignals, gap: Gap, *, estimated: bool) -> dict[str, object]:
    return {
        "gap": msgspec.to_builtins(gap),
        "train_estimated": estimated,
        "splits": {
            entry.split: {"step": entry.step, "metrics": dict(entry.metrics)}
            for entry in signals.evals.splits
        },
    }


def _audited(audit: Mapping[str, object], key: str) -> float | None:
    """A number of an audit summary; an audit of no layer (``n_layers`` 0) found none."""
    return real_number(audit.get(key)) if audit.get("n_layers", 1) else None
