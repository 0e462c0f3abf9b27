"""The guard's doings, in one alert."""

import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.guard_alerts import guard_alerts
from gradience.core.severity import Severity
from gradience.core.signals import records
from gradience.core.signals.analyzer import fold
from gradience.core.signals.records import recorded
from gradience.core.telemetry.events import Alert, AnyEvent
from tests.core.telemetry.sample_events import alert, batch


def alerts(*events: AnyEvent) -> list[MonitorAlert]:
    return [*guard_alerts(fold(recorded(), [batch(*events)]).guard)]


def dropped(step: int) -> Alert:
    return alert("GUARD_TRIGGERED", Severity.INFO, step, {"action": "drop_step"})


def rollback(step: int, to: int) -> Alert:
    return alert("GUARD_ROLLBACK", step=step, context={"restored_step": to})


def test_a_guard_that_watched_says_nothing() -> None:
    assert alerts() == []
    assert alerts(alert("GUARD_INIT", Severity.INFO), alert("GUARD_SNAPSHOT", Severity.INFO)) == []


def test_a_guard_that_stepped_in_is_a_warning() -> None:
    (found,) = alerts(dropped(12), dropped(13), rollback(14, 10), rollback(50, 40))
    assert (found.severity, found.code) == (Severity.WARNING, "guard_intervention")
    assert found.message == (
        "the guard went back 2 times (to the weights of step 10, 40) and dropped 2 steps, "
        "between steps 12 and 50"
    )
    assert (found.first_step, found.last_step) == (12, 50)
    assert found.context["restored_steps"] == [10, 40]


def test_one_dropped_step_is_an_intervention() -> None:
    (found,) = alerts(dropped(12))
    assert found.message == "the guard dropped 1 step, at step 12"


def test_what_it_let_pass_is_an_info() -> None:
    (found,) = alerts(alert("GUARD_TRIGGERED", Severity.INFO, 3, {"action": "hold"}))
    assert (found.severity, found.code, found.first_step) == (Severity.INFO, "guard_triggered", 3)
    assert "was triggered 1 time and let it pass" in found.message


def test_a_guard_that_stopped_the_run_is_an_error() -> None:
    (found,) = alerts(rollback(3, 1), alert("GUARD_ABORT", Severity.ERROR, 4))
    assert (found.severity, found.code) == (Severity.ERROR, "guard_abort")
    assert found.message.startswith("the guard stopped the run at step 4: went back 1 time")
    assert (found.first_step, found.last_step) == (3, 4)


def test_an_abort_with_nothing_to_go_back_to_says_so() -> None:
    (found,) = alerts(alert("GUARD_ABORT_NO_SNAPSHOT", Severity.ERROR, 4))
    assert "at step 4 with no snapshot to go back to: undid nothing, at step 4" in found.message
    (found,) = alerts(dropped(3), alert("GUARD_ABORT_NO_SNAPSHOT", Severity.ERROR, 4))
    assert "to go back to: dropped 1 step, between steps 3 and 4" in found.message


def test_a_guard_that_is_off_says_why() -> None:
    off = {"enabled": False, "reason": "FSDP shards the adapter"}
    (found,) = alerts(alert("GUARD_INIT", Severity.INFO, context=off))
    assert (found.severity, found.code) == (Severity.INFO, "guard_off")
    assert found.message == "the guard was off: FSDP shards the adapter"


def test_of_many_rollbacks_the_last_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RESTORED_KEPT", 1)
    (found,) = alerts(rollback(3, 1), rollback(9, 7))
    assert "went back 2 times (the last to the weights of step 7)" in found.message
