"""Losses of exactly zero, and what the gradient does beside them."""

import math

import numpy as np
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.zero_loss import ZeroLossPolicy, find_zero_loss
from gradience.core.severity import Severity
from tests.core.monitoring.conditions.training_curves import Numbers, calm, only, signals_of


def alerts(
    loss: Numbers, grad_norm: Numbers | None = None, *, reinforcement: bool = False
) -> list[MonitorAlert]:
    signals = signals_of(loss, grad_norm=grad_norm, reinforcement=reinforcement)
    return list(find_zero_loss(signals))


def test_a_dead_run_is_an_error() -> None:
    found = only(alerts(np.zeros(100), np.zeros(100)))
    assert found.severity is Severity.ERROR
    assert found.message == (
        "every logged loss (steps 1 to 100) is exactly 0 and the gradient norm is exactly 0 there "
        "too: the labels are all masked, or losses of NaN are logged as 0 "
        "(logging_nan_inf_filter): nothing is being learned"
    )
    assert found.context == {
        "rows": 100,
        "loss_before": None,
        "gradient": "zero",
        "lasts_to_the_end": True,
    }
    assert found.source == ZeroLossPolicy().source


@pytest.mark.parametrize(
    ("norm", "gradient"),
    [(0.0, "zero"), (1.0, "constant"), (math.nan, "not_finite"), (None, "not_logged")],
)
def test_what_the_gradient_does_is_told(norm: float | None, gradient: str) -> None:
    found = only(alerts([31.0, *[0.0] * 9], [5.0, *[norm] * 9] if norm is not None else None))
    assert found.context["gradient"] == gradient
    assert found.severity is Severity.ERROR
    assert (found.first_step, found.last_step) == (2, 10)


def test_zeros_that_end_are_a_warning() -> None:
    loss = calm(60)
    loss[30:36] = 0
    found = only(alerts(loss))
    assert found.severity is Severity.WARNING
    assert found.message.startswith("6 losses in a row (steps 31 to 36) is exactly 0")


def test_rounded_zeros_of_a_memorised_set_are_none() -> None:
    falling = np.concatenate([np.geomspace(1.0, 1e-4, 40), np.zeros(20)])
    assert alerts(falling) == []
    alive = np.random.default_rng(0).uniform(1e-5, 1e-4, 60)
    assert alerts(falling, alive) == []
    assert only(alerts(falling, np.zeros(60))).severity is Severity.INFO


def test_zeros_with_gradients_alive_are_none() -> None:
    assert alerts(np.zeros(50), np.linspace(0.1, 1.0, 50)) == []


@pytest.mark.parametrize("loss", [[], [0.0], [1.0, 0.0, 0.0, 1.0], calm(50)])
def test_these_are_none(loss: Numbers) -> None:
    assert alerts(loss) == []


def test_reinforcement_learning_starts_at_zero() -> None:
    assert alerts(np.zeros(52), np.zeros(52), reinforcement=True) == []
