"""Alerts: what in a run a person should look at. Each is a pure function of the signals."""

from collections.abc import Iterator

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.catalogue import condition_alerts
from gradience.core.monitoring.conditions.eval_series import eval_series
from gradience.core.monitoring.evaluation_points import eval_points
from gradience.core.monitoring.gap import Gap
from gradience.core.monitoring.guard_alerts import guard_alerts
from gradience.core.monitoring.nonfinite_alerts import nonfinite_alerts
from gradience.core.monitoring.one_event import told_once
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.monitoring.recorded_alerts import dropped_alerts, recorded_alerts
from gradience.core.monitoring.wording import multiple
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.lineage import HORIZON, LineageSignal
from gradience.core.signals.pipeline import RunSignals
from gradience.core.signals.run_status import Outcome, RunSignal

__all__ = ["MonitorAlert", "MonitorPolicy", "find_alerts"]


CONVERTED_FROM = "converted_from"
"""Key in the ``meta`` of the ``run_start`` of a log that another tool wrote."""


def find_alerts(signals: RunSignals, gap: Gap, policy: MonitorPolicy) -> tuple[MonitorAlert, ...]:
    """Every alert of a run, most severe first.

    Args:
        signals: What the analyzers found.
        gap: The perplexity gap, or why there is none.
        policy: The thresholds.

    Returns:
        The alerts; those of severity warning and above that stand in the record itself are among
        them, each code once, and of those that tell one event all but one as infos.
    """
    found = [
        *_status(signals.run),
        *_several_runs(signals),
        *_mixed_runs(signals.run),
        *_beyond_horizon(signals.lineage),
        *nonfinite_alerts(signals, policy),
        *condition_alerts(signals, policy.conditions),
        *_gap(signals, gap, policy),
        *guard_alerts(signals.records.guard),
        *dropped_alerts(signals.recorder),
    ]
    told = frozenset(alert.code for alert in found)
    found += recorded_alerts(signals.records, told)
    return tuple(sorted(told_once(found), key=lambda alert: -alert.severity.order))


def _status(run: RunSignal) -> Iterator[MonitorAlert]:
    because = f" ({run.reason})" if run.reason else ""
    at = f" after step {run.last_step}" if run.last_step is not None else ""
    if run.outcome is Outcome.ERROR:
        yield _alert(Severity.ERROR, "run_error", f"the run ended with an error{at}{because}")
    elif run.outcome is Outcome.ABORTED:
        yield _alert(Severity.WARNING, "run_aborted", f"the run was aborted{at}{because}")
    elif run.outcome is Outcome.UNFINISHED:
        ended = "no run_end was written"
        if CONVERTED_FROM in run.meta:
            ended = "the log does not say that the run ended"
        message = f"{ended}{at}: the run still goes on, or was killed"
        yield _alert(Severity.INFO, "run_unfinished", message)


def _several_runs(signals: RunSignals) -> Iterator[MonitorAlert]:
    if signals.n_runs > 1:
        message = f"the file holds {signals.n_runs} runs; this report is of the last one"
        yield _alert(Severity.INFO, "several_runs", message)


def _mixed_runs(run: RunSignal) -> Iterator[MonitorAlert]:
    if run.foreign_records:
        yield MonitorAlert(
            severity=Severity.WARNING,
            code="mixed_runs",
            message=f"{run.foreign_records} records between this run's carry the id of another "
            "run: several runs wrote into one file, and this report mixes them",
            context={"foreign_records": run.foreign_records, "run_id": run.run_id},
        )


def _beyond_horizon(lineage: LineageSignal) -> Iterator[MonitorAlert]:
    if lineage.resumes_beyond_horizon:
        yield MonitorAlert(
            severity=Severity.INFO,
            code="resume_beyond_horizon",
            message=f"{counted(lineage.resumes_beyond_horizon, 'resume')} went back further than "
            f"{HORIZON} events: of the steps before those, the first record counts and "
            f"{counted(lineage.left_out, 'later one')} do not",
            context={"left_out": lineage.left_out, "superseded": lineage.superseded},
        )


def _gap(signals: RunSignals, gap: Gap, policy: MonitorPolicy) -> Iterator[MonitorAlert]:
    if gap.value is None:
        message = f"the train/held-out gap cannot be told: {gap.reason}"
        yield _alert(Severity.INFO, "gap_unavailable", message)
    elif gap.value > policy.gap.threshold:
        how = ", training side estimated" if gap.estimated else ""
        doubt = "" if gap.doubt is None else f"; {gap.doubt}"
        yield MonitorAlert(
            severity=Severity.WARNING if gap.doubt is None else Severity.INFO,
            code="memorization_gap",
            message=f"held-out perplexity ({gap.held_out_split}) is "
            f"{multiple(gap.value, 4)} the "
            f"training one, above {policy.gap.threshold:g}{how}{doubt}",
            first_step=gap.held_out_step,
            last_step=gap.held_out_step,
            context={"gap": gap.value, "threshold": policy.gap.threshold, "log_gap": gap.log},
            series=eval_series(
                points
                for history in signals.eval_histories
                if history.split == gap.held_out_split
                and (points := eval_points(history)) is not None
            ),
            source="inferred: no published threshold of the gap is known",
        )


def _alert(severity: Severity, code: str, message: str) -> MonitorAlert:
    return MonitorAlert(severity=severity, code=code, message=message)
