"""Alerts about the guard: what it did, in one alert instead of the record's many."""

from collections.abc import Iterator

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.records import GuardSignal

NO_SNAPSHOT = "GUARD_ABORT_NO_SNAPSHOT"
"""Alert code of an abort because there was nothing to go back to."""


def guard_alerts(guard: GuardSignal) -> Iterator[MonitorAlert]:
    """What a person should know of the guard's doings.

    Args:
        guard: What it did in the run.

    Yields:
        ``guard_abort`` (error) where it stopped the run; else ``guard_intervention`` (warning)
        where it went back or dropped a step; else ``guard_triggered`` (info) where it only found
        steps that it did not trust. ``guard_off`` (info) where it says that it can do nothing.
        Nothing for a guard that watched a healthy run.
    """
    if guard.off_because is not None:
        message = f"the guard was off: {guard.off_because}"
        yield MonitorAlert(severity=Severity.INFO, code="guard_off", message=message)
    if guard.aborted:
        because = " with no snapshot to go back to" if guard.abort_code == NO_SNAPSHOT else ""
        message = f"the guard stopped the run at step {guard.last_step}{because}: {_doings(guard)}"
        yield _alert(Severity.ERROR, "guard_abort", message, guard)
    elif guard.n_rollbacks or guard.n_dropped:
        message = f"the guard {_doings(guard)}"
        yield _alert(Severity.WARNING, "guard_intervention", message, guard)
    elif guard.n_triggered:
        message = f"the guard was triggered {counted(guard.n_triggered, 'time')} and let it pass"
        yield _alert(Severity.INFO, "guard_triggered", message, guard)


def _doings(guard: GuardSignal) -> str:
    restored = ", ".join(map(str, guard.restored_steps))
    kept = len(guard.restored_steps)
    last = "the last " if 0 < kept < guard.n_rollbacks else ""
    to = f" ({last}to the weights of step {restored})" if restored else ""
    where = f", between steps {guard.first_step} and {guard.last_step}"
    where = f", at step {guard.first_step}" if guard.first_step == guard.last_step else where
    went = f"went back {counted(guard.n_rollbacks, 'time')}{to}" if guard.n_rollbacks else ""
    dropped = f"dropped {counted(guard.n_dropped, 'step')}" if guard.n_dropped else ""
    doings = " and ".join(filter(None, (went, dropped))) or "undid nothing"
    return doings + (where if guard.first_step is not None else "")


def _alert(severity: Severity, code: str, message: str, guard: GuardSignal) -> MonitorAlert:
    return MonitorAlert(
        severity=severity,
        code=code,
        message=message,
        first_step=guard.first_step,
        last_step=guard.last_step,
        context={
            "n_triggered": guard.n_triggered,
            "n_rollbacks": guard.n_rollbacks,
            "n_dropped": guard.n_dropped,
            "restored_steps": list(guard.restored_steps),
            "abort_code": guard.abort_code,
        },
    )
