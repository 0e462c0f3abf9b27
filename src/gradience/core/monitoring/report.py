"""The report of ``gradience monitor``, and how it is made from signals."""

from collections.abc import Mapping

import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.monitoring.alert import AlertSeries
from gradience.core.monitoring.alerts import MonitorAlert, MonitorPolicy, find_alerts
from gradience.core.monitoring.curves import run_curves
from gradience.core.monitoring.evaluation_summary import Evaluations, summarise_evaluations
from gradience.core.monitoring.recommend import recommend
from gradience.core.monitoring.run_gap import run_gap
from gradience.core.monitoring.signals import SignalSnapshot, signal_snapshot
from gradience.core.severity import Severity
from gradience.core.signals.learning_rate import LearningRateSignal
from gradience.core.signals.lineage import LineageSignal
from gradience.core.signals.loss import LossSignal
from gradience.core.signals.nonfinite_values import NonfiniteSignal
from gradience.core.signals.objective import ObjectiveSignal
from gradience.core.signals.pipeline import RunSignals
from gradience.core.signals.progress import ProgressSignal
from gradience.core.signals.recorder_counts import RecorderCounts
from gradience.core.signals.records import GuardSignal
from gradience.core.signals.run_status import RunSignal
from gradience.core.telemetry.events import Recommendation
from gradience.core.telemetry.issues import TelemetryIssue


class MonitorReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a run (the last one of its file)."""

    file: str
    config: ConfigSnapshot
    signals: SignalSnapshot
    alerts: tuple[MonitorAlert, ...]
    recommendations: tuple[Recommendation, ...]
    telemetry_issues: tuple[TelemetryIssue, ...]
    run: RunSignal
    n_runs: int
    loss: LossSignal
    learning_rate: LearningRateSignal
    nonfinite: NonfiniteSignal
    guard: GuardSignal
    recorder: RecorderCounts
    lineage: LineageSignal
    evaluations: Evaluations
    progress: ProgressSignal
    objective: ObjectiveSignal
    curves: tuple[AlertSeries, ...] = ()
    """To plot: ``loss``, ``lr``, ``grad_norm`` and ``<split>.loss``."""
    lora_audit: Mapping[str, object] | None = None

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities of the alerts, the recommendations and the file's issues."""
        alerts = tuple(alert.severity for alert in self.alerts)
        advice = tuple(item.severity for item in self.recommendations)
        return alerts + advice + tuple(issue.severity for issue in self.telemetry_issues)


def monitor_report(
    file: str,
    signals: RunSignals,
    issues: tuple[TelemetryIssue, ...],
    policy: MonitorPolicy | None = None,
) -> MonitorReport:
    """Judges the signals of a run.

    Args:
        file: The telemetry file, for the report.
        signals: What the analyzers found.
        issues: What was odd about the file.
        policy: The thresholds.

    Returns:
        The report.
    """
    policy = policy or MonitorPolicy()
    gap = run_gap(signals, policy.gap)
    alerts = find_alerts(signals, gap, policy)
    return MonitorReport(
        file=file,
        config=signals.run.config or ConfigSnapshot(),
        signals=signal_snapshot(signals, policy.gap, gap),
        alerts=alerts,
        recommendations=recommend(signals, gap, policy, alerts),
        telemetry_issues=issues,
        run=msgspec.structs.replace(signals.run, config=None),
        n_runs=signals.n_runs,
        loss=signals.loss,
        learning_rate=signals.learning_rate,
        nonfinite=signals.nonfinite,
        guard=signals.records.guard,
        recorder=signals.recorder,
        lineage=signals.lineage,
        evaluations=summarise_evaluations(signals.eval_histories, gap_policy=policy.gap),
        progress=signals.progress,
        objective=signals.objective,
        curves=run_curves(signals, policy.gap),
        lora_audit=signals.records.lora_audit,
    )
