"""``monitor`` from Python."""

import os

import attrs

from gradience.core.monitoring.alerts import MonitorPolicy
from gradience.core.monitoring.report import MonitorReport, monitor_report
from gradience.core.signals.pipeline import run_signals
from gradience.shell.telemetry.reader import TelemetryReader

StrPath = str | os.PathLike[str]


def monitor(
    run: StrPath,
    *,
    gap_threshold: float | None = None,
    strict_schema: bool = False,
    policy: MonitorPolicy | None = None,
) -> MonitorReport:
    """Says what happened in a run, from its telemetry file, in one pass.

    Args:
        run: A telemetry v1 file.
        gap_threshold: Held-out over training perplexity from which on an alert is raised.
        strict_schema: Makes every issue of severity warning or above an error.
        policy: All thresholds.

    Returns:
        The report, of the last run in the file.

    Raises:
        TelemetryError: The file cannot be read, or is no telemetry v1.
    """
    policy = policy or MonitorPolicy()
    if gap_threshold is not None:
        policy = attrs.evolve(policy, gap=attrs.evolve(policy.gap, threshold=gap_threshold))
    reader = TelemetryReader(run, strict_schema=strict_schema)
    signals = run_signals(reader.iter_batches())
    return monitor_report(str(run), signals, reader.issues, policy)
