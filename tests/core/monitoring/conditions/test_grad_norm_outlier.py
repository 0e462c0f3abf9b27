"""Gradient norms far outside the run's own, and the loss beside them."""

import numpy as np
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.grad_norm_outlier import (
    GradNormOutlierPolicy,
    find_grad_norm_outlier,
)
from gradience.core.severity import Severity
from tests.core.monitoring.conditions.training_curves import Numbers, calm, only, signals_of


def norms(*places: int, n: int = 100, size: float = 11_000.0, noise: float = 0.3) -> np.ndarray:
    """Gradient norms about 1 with outliers at these rows."""
    values = np.exp(noise * np.random.default_rng(2).standard_normal(n))
    values[list(places)] = size
    return values


def alerts(
    grad_norm: Numbers, loss: Numbers | None = None, *, reinforcement: bool = False
) -> list[MonitorAlert]:
    losses = calm(len(grad_norm)) if loss is None else loss
    signals = signals_of(losses, grad_norm=grad_norm, reinforcement=reinforcement)
    return list(find_grad_norm_outlier(signals))


def test_isolated_outliers_with_a_normal_loss_are_an_info() -> None:
    values = norms(40, 70)
    values[70] = 50.0
    found = only(alerts(values))
    assert found.severity is Severity.INFO
    assert found.message.startswith(
        "2 gradient norms far outside the run's own, the largest 1.1e+04 at step 41, "
    )
    assert found.message.endswith("the loss did not follow, so clipping (max_grad_norm) bore it")
    assert (found.first_step, found.last_step) == (41, 71)
    assert [series.name for series in found.series] == ["grad_norm", "loss"]
    assert found.source == GradNormOutlierPolicy().source


@pytest.mark.parametrize("late", [0, 1, 3])
def test_a_loss_jump_that_follows_makes_a_warning(late: int) -> None:
    loss = calm(100)
    loss[60 + late] = 5.2
    found = only(alerts(norms(60), loss))
    assert found.severity is Severity.WARNING
    assert "the loss jumped with 1 of them" in found.message


def test_many_isolated_ones_make_a_warning() -> None:
    found = only(alerts(norms(*range(20, 190, 30), n=200)))
    assert (found.severity, found.context["count"]) == (Severity.WARNING, 6)


def test_on_many_rows_they_are_the_runs_own_way() -> None:
    found = alerts(norms(*range(20, 100, 8)))
    assert [alert.severity for alert in found] in ([], [Severity.INFO])


def test_reinforcement_learning_has_infos_only() -> None:
    loss = calm(200)
    loss[50] = 9.0
    values = norms(*range(20, 190, 30), n=200)
    assert only(alerts(values, loss, reinforcement=True)).severity is Severity.INFO


@pytest.mark.parametrize(
    "grad_norm",
    [
        [],
        np.append(np.ones(10), 1e4),
        np.zeros(100),
        norms(noise=0.7),
        np.geomspace(400, 0.5, 50),
        [197.5, 422.0, 3.3, 2.2, 2.7, 2.7],
        np.concatenate([[5.0, 80.0], norms()]),
    ],
    ids=["none", "few", "zero", "wide", "falling", "high start", "second row"],
)
def test_these_are_none(grad_norm: Numbers) -> None:
    assert alerts(grad_norm) == []


def test_norms_that_are_not_finite_or_zero_disturb_nothing() -> None:
    values = norms(60)
    values[[10, 30, 59]] = [np.inf, np.nan, 0.0]
    assert only(alerts(values)).context["peak_step"] == 61


def test_a_loss_jump_beside_one_of_many_is_the_runs_own_way_too() -> None:
    loss, places = calm(400), [*range(20, 400, 13)]
    loss[places[3]] = 5.2
    found = only(alerts(norms(*places, n=400), loss))
    assert found.context["followed_by_loss_jump"] == 1
    assert found.severity is Severity.INFO
