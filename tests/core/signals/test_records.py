"""Audits, the guard's doings and alerts on record."""

import pytest

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
    codes = ["GUARD_INIT", "GUARD_TRIGGERED", "GUARD_ROLLBACK", "GUARD_ABORT_NO_SNAPSHOT"]
    events = [alert(code, step=place) for place, code in enumerate(codes)]
    found = signal(*events, metrics("guard", {"ring_size": 5})).guard
    assert found == GuardSignal(
        active=True,
        n_triggered=1,
        n_rollbacks=1,
        aborted=True,
        first_step=1,
        last_step=3,
        metrics={"ring_size": 5},
    )


def test_a_guard_that_only_watched_did_nothing() -> None:
    found = signal(alert("GUARD_INIT"), alert("GUARD_SNAPSHOT")).guard
    assert found == GuardSignal(active=True)


def test_alerts_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_ALERTS_KEPT", 2)
    found = signal(*[alert(code) for code in ("a", "b", "c")])
    assert [entry.code for entry in found.alerts] == ["a", "b"]
    assert found.n_alerts == 3
