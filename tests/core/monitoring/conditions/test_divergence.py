"""Losses that leave their level and stay above it, and those that only seem to."""

import numpy as np
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.divergence import DivergencePolicy, find_divergence
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import RunSignals
from tests.core.monitoring.conditions.training_curves import calm, only, signals_of


def alerts(signals: RunSignals) -> list[MonitorAlert]:
    return list(find_divergence(signals))


def risen(factor: float, n: int = 200, row: int = 120) -> np.ndarray:
    values = calm(n)
    values[row:] *= factor
    return values


def test_a_loss_that_left_its_level_is_an_error() -> None:
    found = only(alerts(signals_of(risen(3.0))))
    assert found.severity is Severity.ERROR
    assert found.message.startswith("the training loss left its level of 1.96 ")
    assert "has stayed around 5.972 since step 121, never below 2.99 x" in found.message
    assert (found.first_step, found.last_step) == (121, 200)
    assert [series.name for series in found.series] == ["loss", "grad_norm", "lr"]
    assert found.source == DivergencePolicy().source


def test_a_learning_rate_of_5_needs_one_row_before() -> None:
    loss = [1.637, 11.807, 11.605, 10.383, 10.3735, *[10.3735] * 5]
    found = only(alerts(signals_of(loss)))
    assert (found.first_step, found.last_step) == (2, 10)
    assert found.context["level_before"] == 1.637


def test_a_smaller_lasting_rise_of_a_calm_run_is_a_warning() -> None:
    assert only(alerts(signals_of(risen(1.65)))).severity is Severity.WARNING


def test_a_slow_climb_counts_from_where_it_is_far() -> None:
    values = calm(300)
    values[150:] *= np.linspace(1, 5, 150)
    found = only(alerts(signals_of(values)))
    assert found.first_step is not None
    assert 160 <= found.first_step <= 280


@pytest.mark.parametrize(
    "loss",
    [
        [],
        [1.0, 9.0, 9.0],
        calm(100),
        calm(100)[::-1],
        risen(1.3),
        np.concatenate([risen(4.0), calm(60)]),
        [0.9, *calm(30)],
        np.zeros(50),
    ],
    ids=["none", "few", "calm", "slow rise", "small", "back", "low first", "zero"],
)
def test_these_are_none(loss: np.ndarray) -> None:
    assert alerts(signals_of(loss)) == []


def test_a_visit_near_zero_is_no_level() -> None:
    values = np.concatenate([calm(100, 0.2), np.full(40, 1e-4), calm(60, 0.22)])
    assert alerts(signals_of(values)) == []


def test_noise_is_no_rise() -> None:
    noise = np.exp(0.7 * np.random.default_rng(1).standard_normal(300))
    assert alerts(signals_of(noise)) == []


def test_reinforcement_learning_and_losses_below_zero_have_none() -> None:
    assert alerts(signals_of(risen(3.0), reinforcement=True)) == []
    assert alerts(signals_of(risen(3.0) - 2.5)) == []


def test_another_run_in_the_same_log_is_none() -> None:
    steps = [*range(1, 121), *range(1, 81)]
    assert alerts(signals_of(risen(3.0), steps=steps)) == []


def test_long_runs_in_buckets_are_seen_too() -> None:
    found = only(alerts(signals_of(risen(3.0, 20_000, 15_000))))
    assert found.first_step is not None
    assert abs(found.first_step - 15_000) < 250


def test_a_run_that_climbs_from_its_first_rows_diverges() -> None:
    loss = np.concatenate([[2.0, 2.5, 4.0, 6.0, 7.5], calm(45, 7.0)])
    found = only(alerts(signals_of(loss)))
    assert found.severity is Severity.ERROR
    assert found.first_step == 4


def test_a_run_lost_at_once_by_less_than_four_times_is_an_info() -> None:
    found = only(alerts(signals_of([3.4, *(4.1 * calm(60)[20:])])))
    assert (found.severity, found.first_step) == (Severity.INFO, 2)


def test_a_rise_at_the_foot_of_a_steep_descent_is_an_info() -> None:
    loss = [3.15, 2.65, 2.36, 2.2, 2.1, 2.0, 1.96, 3.22, 3.79, 3.63, 3.61, 3.6, 3.59, 3.59, 3.58]
    found = only(alerts(signals_of(loss)))
    assert (found.severity, found.first_step) == (Severity.INFO, 8)
    assert alerts(signals_of([*loss[:8], 2.1, 2.0, 1.99, 1.98, 1.97, 1.96, 1.95])) == []
