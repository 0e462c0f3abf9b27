"""Recommendations from a run's signals: hypotheses with the experiment that would refute them."""

from collections.abc import Iterator

from gradience.core.monitoring.advice import advice_on
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.audit_advice import audit_advice
from gradience.core.monitoring.gap import Gap
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.severity import Severity
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals
from gradience.core.telemetry.events import Recommendation


def recommend(
    signals: RunSignals,
    gap: Gap,
    policy: MonitorPolicy,
    alerts: tuple[MonitorAlert, ...] = (),
) -> tuple[Recommendation, ...]:
    """What to try next, most severe first; empty where there is nothing to say.

    Args:
        signals: What the analyzers found.
        gap: The perplexity gap, or why there is none.
        policy: The thresholds.
        alerts: The run's alerts, most severe first.

    Returns:
        The recommendations, one for each action.
    """
    found: dict[str, Recommendation] = {}
    for item in (
        *advice_on(alerts),
        *_memorization(gap, policy),
        *_log_evals(signals, policy),
        *audit_advice(signals, policy),
    ):
        found.setdefault(item.action, item)
    return tuple(sorted(found.values(), key=lambda item: -item.severity.order))


def _memorization(gap: Gap, policy: MonitorPolicy) -> Iterator[Recommendation]:
    if gap.value is None or gap.doubt is not None or gap.value <= policy.gap.threshold:
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
    measured = signals.evals.n_evals or not signals.loss.n
    if measured or signals.objective.kind is Objective.REINFORCEMENT:
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
