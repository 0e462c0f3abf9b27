"""Alerts that stand in the record, and what the recorder says it lost."""

from collections.abc import Iterator

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.recorder_counts import RecorderCounts
from gradience.core.signals.records import GUARD_CODE_PREFIX, RecordsSignal

LIVE = "live"
"""Key in the context of an alert that the monitor's own conditions raised while the run trained:
judged then by what there was of it."""


def recorded_alerts(records: RecordsSignal, told: frozenset[str]) -> Iterator[MonitorAlert]:
    """The alerts on record of severity warning and above, one for each code.

    Args:
        records: What stands in the record.
        told: Codes of which the report says more already.

    Yields:
        An alert for each code in order of first appearance, with the count, the first and the
        last step; the guard's are told by ``guard_alerts``. One that was raised live and that
        the whole record no longer shows is an info. ``more_alerts`` where there were more codes
        than are kept.
    """
    for alert in records.alerts:
        own = alert.code.startswith(GUARD_CODE_PREFIX) or alert.code in told
        if own or not alert.severity.at_least(Severity.WARNING):
            continue
        times = f" ({alert.count} times)" if alert.count > 1 else ""
        passed = alert.context.get(LIVE) is True
        then = "said while the run was under way, and no longer so: " if passed else ""
        yield MonitorAlert(
            severity=Severity.INFO if passed else alert.severity,
            code=alert.code,
            message=f"{then}{alert.message}{times}",
            first_step=alert.first_step,
            last_step=alert.last_step,
            context={**alert.context, "count": alert.count} if times else alert.context,
        )
    more = records.n_alerts - sum(alert.count for alert in records.alerts)
    if more:
        message = f"{counted(more, 'further alert')}, of other codes, on record"
        yield MonitorAlert(severity=Severity.WARNING, code="more_alerts", message=message)


def dropped_alerts(recorder: RecorderCounts) -> Iterator[MonitorAlert]:
    """``dropped_events`` (warning) where the recorder lost events: the numbers lack those."""
    dropped = recorder.dropped_events
    if not dropped.count:
        return
    before = "" if dropped.first_step is None else f" before step {dropped.first_step}"
    if dropped.first_step != dropped.last_step:
        before = f" before steps {dropped.first_step} to {dropped.last_step}"
    yield MonitorAlert(
        severity=Severity.WARNING,
        code="dropped_events",
        message=f"the recorder lost {counted(dropped.count, 'event')}{before}: every number here "
        "is of what could be written",
        first_step=dropped.first_step,
        last_step=dropped.last_step,
        context={"count": dropped.count},
    )
