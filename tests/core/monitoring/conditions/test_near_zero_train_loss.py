"""Losses that settle near zero."""

import numpy as np
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.near_zero_train_loss import (
    NearZeroTrainLossPolicy,
    find_near_zero_train_loss,
)
from gradience.core.severity import Severity
from gradience.core.signals.objective import Objective, ObjectiveSignal
from gradience.core.signals.pipeline import RunSignals
from tests.core.monitoring.conditions.training_curves import Numbers, only, signals_of


def alerts(signals: RunSignals) -> list[MonitorAlert]:
    return list(find_near_zero_train_loss(signals))


def settled(level: float, n: int = 50) -> np.ndarray:
    return np.geomspace(1.0, level, n).clip(level * 1.01)


@pytest.mark.parametrize(("level", "severity"), [(0.0002, Severity.WARNING), (0.03, Severity.INFO)])
def test_a_loss_near_zero_is_told(level: float, severity: Severity) -> None:
    loss = np.concatenate([settled(level), np.full(30, level)])
    found = only(alerts(signals_of(loss)))
    assert found.severity is severity
    assert found.message.startswith(
        f"the training loss has settled at {level:.3g} since step 65, from"
    )
    assert (found.first_step, found.last_step) == (65, 80)
    assert found.context["rows"] == 16
    assert found.source == NearZeroTrainLossPolicy().source


def test_spikes_do_not_hide_it() -> None:
    loss = np.concatenate([settled(0.0005), np.full(50, 0.0005)])
    loss[60::8] = 0.15
    assert len(alerts(signals_of(loss))) == 1


def test_a_loss_that_was_always_tiny_is_an_info() -> None:
    assert only(alerts(signals_of(np.full(20, 0.0005)))).severity is Severity.INFO


@pytest.mark.parametrize(
    "loss",
    [
        [],
        [1.0, 0.001, 0.001],
        settled(0.2),
        np.full(50, 0.02),
        np.zeros(50),
        settled(0.001) - 0.5,
        [31.0, 0.0, 0.0, 0.0, 0.0],
    ],
    ids=["none", "few", "not near", "always small", "zero", "negative", "broken"],
)
def test_these_are_none(loss: Numbers) -> None:
    assert alerts(signals_of(loss)) == []


@pytest.mark.parametrize("kind", [Objective.PREFERENCE, Objective.REINFORCEMENT])
def test_only_supervised_losses_are_judged(kind: Objective) -> None:
    signals = signals_of(np.concatenate([settled(0.001), np.full(20, 0.001)]))
    assert alerts(signals) != []
    assert alerts(signals._replace(objective=ObjectiveSignal(kind=kind))) == []
