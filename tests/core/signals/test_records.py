"""Audits, the guard's doings and alerts on record."""

import pytest

from gradience.core.severity import Severity
from gradience.core.signals import records
from gradience.core.signals.analyzer import fold
from gradience.core.signals.records import GuardSignal, RecordsSignal, recorded
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import alert, batch, metrics


def signal(*events: AnyEvent) -> RecordsSignal:
    return fold(recorded(), [batch(*events)])


def test_the_latest_audit_counts() -> None:
    found = signal(
        metrics("lora_audit", {"n_layers": 1}), metrics("lora_audit", {"n_layers": 2}, 5)
    )
    assert (found.lora_audit, found.lora_audit_step) == ({"n_layers": 2}, 5)


def test_metrics_of_other_kinds_are_let_be() -> None:
    assert signal(metrics("spectral", {"x": 1})) == RecordsSignal()


def test_the_guard_is_followed_from_trigger_to_abort() -> None:
    events: list[AnyEvent] = [
        alert("GUARD_INIT", step=0, context={"enabled": True}),
        alert("GUARD_TRIGGERED", step=1, context={"action": "drop_step"}),
        alert("GUARD_TRIGGERED", step=2, context={"action": "rollback"}),
        alert("GUARD_ROLLBACK", step=2, context={"restored_step": 0}),
        alert("GUARD_ABORT_NO_SNAPSHOT", step=3),
        metrics("guard", {"ring_size": 5}),
    ]
    found = signal(*events).guard
    assert found == GuardSignal(
        active=True,
        n_triggered=2,
        n_rollbacks=1,
        n_dropped=1,
        restored_steps=(0,),
        aborted=True,
        abort_code="GUARD_ABORT_NO_SNAPSHOT",
        first_step=1,
        last_step=3,
        metrics={"ring_size": 5},
    )


def test_a_guard_that_only_watched_did_nothing() -> None:
    found = signal(alert("GUARD_INIT"), alert("GUARD_SNAPSHOT")).guard
    assert found == GuardSignal(active=True)


def test_a_guard_that_is_off_says_why_until_it_is_on() -> None:
    off = alert("GUARD_INIT", context={"enabled": False, "reason": "FSDP shards them"})
    assert signal(off).guard == GuardSignal(off_because="FSDP shards them")
    on = alert("GUARD_INIT", context={"enabled": True})
    assert signal(off, on).guard == GuardSignal(active=True)


def test_the_latest_restored_steps_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RESTORED_KEPT", 2)
    events = [alert("GUARD_ROLLBACK", context={"restored_step": step}) for step in (1, 2, 3)]
    found = signal(*events, alert("GUARD_ROLLBACK", context={"restored_step": "4"})).guard
    assert (found.restored_steps, found.n_rollbacks) == ((2, 3), 4)


def test_alerts_of_one_code_are_one_with_their_steps() -> None:
    found = signal(alert("a", step=2), alert("b", step=3), alert("a", step=9)).alerts
    assert [(entry.code, entry.count) for entry in found] == [("a", 2), ("b", 1)]
    assert (found[0].first_step, found[0].last_step) == (2, 9)


def test_the_most_severe_of_a_code_speaks_for_it() -> None:
    info, warning = Severity.INFO, Severity.WARNING
    (found,) = signal(
        alert("a", info, context={"n": 1}),
        alert("a", warning, context={"n": 2}),
        alert("a", warning, context={"n": 3}),
    ).alerts
    assert (found.severity, found.context, found.count) == (warning, {"n": 2}, 3)


def test_codes_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_CODES_KEPT", 2)
    found = signal(*[alert(code) for code in ("a", "b", "c", "a")])
    assert [(entry.code, entry.count) for entry in found.alerts] == [("a", 2), ("b", 1)]
    assert found.n_alerts == 4
