"""Every condition in turn, whatever happens to one of them."""

import attrs
import pytest

from gradience.core.monitoring.advice import ADVICE
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions import catalogue
from gradience.core.monitoring.conditions.catalogue import (
    CONDITIONS,
    ConditionPolicies,
    condition_alerts,
)
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import RunSignals, run_signals
from tests.core.telemetry.sample_events import batch, train_step

MASKED = run_signals([batch(*(train_step(step, loss=0.0, grad_norm=0.0) for step in range(40)))])


def test_every_condition_has_its_policy() -> None:
    assert list(CONDITIONS) == [field.name for field in attrs.fields(ConditionPolicies)]


def test_what_holds_is_found() -> None:
    codes = [alert.code for alert in condition_alerts(MASKED, ConditionPolicies())]
    assert "zero_loss" in codes


def test_a_condition_that_fails_is_said_and_the_others_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> list[MonitorAlert]:
        raise ZeroDivisionError

    def all_conditions(signals: RunSignals) -> dict[str, MonitorAlert]:
        return {alert.code: alert for alert in condition_alerts(signals, ConditionPolicies())}

    monkeypatch.setattr(catalogue, "find_divergence", fail)
    found = all_conditions(MASKED)
    assert "zero_loss" in found
    assert found["condition_failed"].severity is Severity.WARNING
    assert "divergence could not be judged" in found["condition_failed"].message


def test_advice_is_on_conditions_that_there_are() -> None:
    others = {"nonfinite_loss"}
    assert ADVICE.keys() - others <= CONDITIONS.keys()
