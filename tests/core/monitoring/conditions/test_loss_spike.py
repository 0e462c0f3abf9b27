"""Jumps of the loss that come back."""

import numpy as np
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.loss_spike import LossSpikePolicy, find_loss_spike
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import RunSignals
from tests.core.monitoring.conditions.training_curves import calm, only, signals_of


def spiked(*heights: float, n: int = 200) -> np.ndarray:
    """A calm run at about 2 with jumps to these heights, 30 rows apart."""
    values = calm(n)
    values[50 : 50 + 30 * len(heights) : 30] = heights
    return values


def alerts(signals: RunSignals) -> list[MonitorAlert]:
    return list(find_loss_spike(signals))


def test_one_alert_tells_all_spikes() -> None:
    found = only(alerts(signals_of(spiked(7.0, 9.0))))
    assert found.severity is Severity.WARNING
    assert found.message.startswith(
        "the training loss jumped 2 times, highest to 9 at step 81, 4.48 x its level of 2.009, "
    )
    assert found.message.endswith(
        "and came back: a bad batch, or a learning rate at the edge of what the run bears"
    )
    assert (found.first_step, found.last_step) == (51, 81)
    assert (found.context["count"], found.context["peak_step"]) == (2, 81)
    assert found.series[0].name == "loss"
    assert 9.0 in found.series[0].value
    assert found.source == LossSpikePolicy().source


@pytest.mark.parametrize(
    ("heights", "severity"),
    [((3.2,), Severity.INFO), ((7.0,), Severity.INFO), ((11.0,), Severity.WARNING)],
)
def test_a_single_spike_is_a_warning_from_five_times_on(
    heights: tuple[float, ...], severity: Severity
) -> None:
    assert only(alerts(signals_of(spiked(*heights)))).severity is severity


def test_a_jump_at_the_end_has_not_come_back() -> None:
    values = calm(100)
    values[-2:] = 5.0
    assert "has not come back yet" in only(alerts(signals_of(values))).message


def test_a_longer_rise_at_the_end_is_left_to_divergence() -> None:
    values = calm(300)
    values[-6:] = 7.0
    assert alerts(signals_of(values)) == []


@pytest.mark.parametrize("rows", [25, 100])
def test_a_jump_that_comes_back_slowly_is_one_spike(rows: int) -> None:
    values = calm(1000)
    values[400 : 400 + rows] *= np.linspace(3, 1.6, rows)
    found = only(alerts(signals_of(values)))
    assert found.context["count"] == 1
    assert found.first_step is not None
    assert abs(found.first_step - 401) <= 1


def test_jumps_on_many_rows_are_the_runs_own_way() -> None:
    values = calm(200)
    values[20:200:10] *= 6
    assert only(alerts(signals_of(values))).severity is Severity.INFO


@pytest.mark.parametrize("n", [0, 1, 5, 11])
def test_few_rows_say_nothing(n: int) -> None:
    assert alerts(signals_of(np.append(np.ones(n), 9.0)[:11])) == []


def test_first_rows_say_nothing() -> None:
    values = calm(100)
    values[:4] = [3.0, 19.0, 3.0, 25.0]
    assert alerts(signals_of(values)) == []


def test_beside_a_loss_that_came_from_far_above_tiny_jumps_are_none() -> None:
    values = np.concatenate([np.geomspace(1.0, 1e-4, 50), np.full(50, 1e-4)])
    values[80] = 1e-3
    assert alerts(signals_of(values)) == []


def test_reinforcement_learning_and_losses_below_zero_have_none() -> None:
    assert alerts(signals_of(spiked(9.0), reinforcement=True)) == []
    assert alerts(signals_of(spiked(9.0) - 2.5)) == []


def test_a_jump_right_after_a_restart_belongs_to_it() -> None:
    rate = np.linspace(1e-3, 1e-4, 200)
    rate[49:] += 5e-4
    assert alerts(signals_of(spiked(9.0), lr=rate)) == []


def test_rows_without_loss_change_nothing() -> None:
    values: list[float | None] = []
    for value in spiked(9.0).tolist():
        values += [value, None]
    assert only(alerts(signals_of(values))).context["peak_step"] == 101


def test_thresholds_are_the_policys() -> None:
    policy = LossSpikePolicy(lone_warning_ratio=100.0)
    found = only(list(find_loss_spike(signals_of(spiked(20.0)), policy)))
    assert found.severity is Severity.INFO


def test_one_row_far_above_all_others_of_a_short_record_is_an_info() -> None:
    found = only(alerts(signals_of([1.9, 1.5, 1.35, 1.3, 6.0, 1.25, 1.2])))
    assert found.severity is Severity.INFO
    assert found.message.startswith("the training loss jumped once, to 6 at step 5, 4.21 x")


@pytest.mark.parametrize(
    "loss",
    [
        [1.9, 1.5, 6.0, 1.3, 1.2, 1.2],
        [1.9, 1.5, 1.4, 1.3, 1.2, 6.0],
        [1.9, 1.5, 1.4, 4.0, 1.2, 1.2],
        [1.9, 1.5, 1.4, 6.0, 1.2],
    ],
    ids=["among the first", "the last", "too low", "too few"],
)
def test_other_rows_of_short_records_are_none(loss: list[float]) -> None:
    assert alerts(signals_of(loss)) == []


def test_small_jumps_that_repeat_in_a_calm_run_are_an_info() -> None:
    found = only(alerts(signals_of(spiked(2.8, 2.9, 2.8, n=200))))
    assert (found.severity, found.context["count"]) == (Severity.INFO, 3)
    assert alerts(signals_of(spiked(2.8, 2.9))) == []
    assert only(alerts(signals_of(spiked(2.8, 2.9, 2.8, 7.0)))).context["count"] == 1
