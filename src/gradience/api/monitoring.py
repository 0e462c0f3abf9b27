"""``monitor`` from Python."""

import os
from pathlib import Path

import attrs

from gradience.core.monitoring.alerts import MonitorPolicy
from gradience.core.monitoring.report import MonitorReport, monitor_report
from gradience.core.signals.pipeline import run_signals
from gradience.shell.telemetry.run_log import RunLog, open_run_log

StrPath = str | os.PathLike[str]


def monitor(
    run: StrPath,
    *,
    gap_threshold: float | None = None,
    strict_schema: bool = False,
    policy: MonitorPolicy | None = None,
) -> MonitorReport:
    """Says what happened in a run, from its log, in one pass.

    Args:
        run: A telemetry v1 file; or the log of another tool: Hugging Face's
            ``trainer_state.json`` (also of Axolotl, Unsloth and TRL) or a bare ``log_history``,
            LLaMA-Factory's ``trainer_log.jsonl``, ms-swift's ``logging.jsonl``, torchtune's
            DiskLogger, a step log in JSON Lines, a result of PEFT's method comparison; or the
            folder of one run that holds one of these.
        gap_threshold: Held-out over training perplexity from which on an alert is raised.
        strict_schema: Makes every issue of severity warning or above an error.
        policy: All thresholds.

    Returns:
        The report, of the last run in the file.

    Raises:
        TelemetryError: The file cannot be read or is none of these, or the folder holds no run
            or several.
    """
    log = open_run_log(run, strict_schema=strict_schema)
    file = str(run if log.path == Path(run) else log.path)
    return report_of(log, file, monitor_policy(policy, gap_threshold))


def report_of(log: RunLog, file: str, policy: MonitorPolicy) -> MonitorReport:
    """What happened in an opened log, which the report calls ``file``.

    Raises:
        TelemetryError: The log cannot be read.
    """
    signals = run_signals(log.iter_batches())
    return monitor_report(file, signals, log.issues, policy)


def monitor_policy(policy: MonitorPolicy | None, gap_threshold: float | None) -> MonitorPolicy:
    """The thresholds that a caller gave, the defaults for the others."""
    policy = policy or MonitorPolicy()
    if gap_threshold is None:
        return policy
    return attrs.evolve(policy, gap=attrs.evolve(policy.gap, threshold=gap_threshold))
