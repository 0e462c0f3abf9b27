"""Recommendations from a run's signals: hypotheses with the experiment that would refute them."""

from collections.abc import Iterator

from gradience.core.monitoring.gap import Gap
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import RunSignals
from gradience.core.telemetry.events import Recommendation


def recommend(signals: RunSignals, gap: Gap, policy: MonitorPolicy) -> tuple[Recommendation, ...]:
    """What to try next, most severe first; empty where there is nothing to say.

    Args:
        signals: What the analyzers found.
        gap: The perplexity gap, or why there is none.
        policy: The thresholds.

    Returns:
        The recommendations.
    """
    found = [*_memorization(gap, policy), *_log_evals(signals, policy), *_compress(signals, policy)]
    return tuple(sorted(found, key=lambda item: -item.severity.order))


def _memorization(gap: Gap, policy: MonitorPolicy) -> Iterator[Recommendation]:
    if gap.value is None or gap.value <= policy.gap.threshold:
        return
    confidence = (
        policy.memorization_confidence_estimated
        if gap.estimated
        else policy.memorization_confidence
    )
    yield Recommendation(
        severity=Severity.WARNING,
        action="memorization_detected",
        message="stop earlier, train on more data, or lower alpha or the rank",
        rationale="The training set is fitted much better than held-out data.",
        confidence=confidence,
        scope="run",
        evidence={
            "gap": gap.value,
            "threshold": policy.gap.threshold,
            "estimated": gap.estimated,
            "source": "inferred: no published threshold of the gap is known",
        },
        refuted_by="The held-out task metric of an earlier checkpoint is no better than the last.",
    )


def _log_evals(signals: RunSignals, policy: MonitorPolicy) -> Iterator[Recommendation]:
    if signals.evals.n_evals or not signals.loss.n:
        return
    yield Recommendation(
        severity=Severity.INFO,
        action="log_train_test_ppl",
        message="evaluate on held-out data during training (eval_strategy='steps')",
        rationale="Without an evaluation nothing tells learning from memorising.",
        confidence=policy.evaluate_confidence,
        scope="run",
        evidence={
            "n_evals": 0,
            "source": "inferred: overfitting shows as the evaluation rising while training falls",
        },
        refuted_by="Nothing to refute: a measurement is missing.",
    )


def _compress(signals: RunSignals, policy: MonitorPolicy) -> Iterator[Recommendation]:
    audit = signals.records.lora_audit or {}
    config = signals.run.config
    rank = config.lora.r if config else None
    suggested = audit.get("suggested_r_global_90")
    if rank is None or not isinstance(suggested, int) or not audit.get("n_layers"):
        return
    if suggested < 1 or suggested * policy.compress_factor > rank:
        return
    yield Recommendation(
        severity=Severity.INFO,
        action="compress_rank",
        message=f"rank {suggested} keeps 90 % of the energy of nine modules in ten; {rank} is paid "
        "for",
        rationale="Energy that a module does not use can be cut; at 90 % expect about 1 to 1.5 "
        "points on maths (the PEFT package's LoRA conversion figures).",
        confidence=policy.compress_confidence,
        scope="lora.r",
        evidence={
            "r": rank,
            "suggested_r_global_90": suggested,
            "energy": "PEFT: share of Σσ²",
            "source": "the PEFT package's documentation of LoRA conversion: Llama-3.2-3B, "
            "MetaMathQA to GSM8K, energy 0.9 costs 1.37 points",
        },
        refuted_by=f"Adapters truncated to and retrained at rank {suggested}, three seeds: their "
        "held-out metric is worse by more than you accept.",
    )
