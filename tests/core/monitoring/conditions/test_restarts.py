"""Where a log begins anew."""

import numpy as np
import pytest

from gradience.core.monitoring.conditions.restarts import (
    follows,
    restarted_rows,
    stepped_back_rows,
)
from tests.core.monitoring.conditions.training_curves import signals_of

FALLING = np.linspace(1e-3, 1e-4, 100)


def test_a_falling_rate_that_jumps_up_is_a_restart() -> None:
    rate = FALLING.copy()
    rate[60:] += 4e-4
    history = signals_of(np.ones(100), lr=rate).history
    assert restarted_rows(history).tolist() == [60]
    assert stepped_back_rows(history).size == 0


@pytest.mark.parametrize("rate", [FALLING, FALLING[::-1], np.full(100, 1e-4), None])
def test_a_schedule_is_none(rate: np.ndarray | None) -> None:
    assert restarted_rows(signals_of(np.ones(100), lr=rate).history).size == 0


def test_a_step_that_goes_back_is_a_restart() -> None:
    history = signals_of(np.ones(100), steps=[*range(1, 61), *range(1, 41)]).history
    assert restarted_rows(history).tolist() == [60]
    assert stepped_back_rows(history).tolist() == [60]


def test_two_processes_in_one_log_are_none() -> None:
    steps = [step for i in range(50) for step in (i + 2, i + 1)]
    assert restarted_rows(signals_of(np.ones(100), steps=steps).history).size == 0


def test_of_no_rows_there_is_none() -> None:
    assert restarted_rows(signals_of([]).history).size == 0
    assert restarted_rows(signals_of([1.0]).history).size == 0


@pytest.mark.parametrize("row", [10, 14, 40])
def test_rows_right_after_a_restart_follow_it(row: int) -> None:
    assert follows(np.array([10, 40]), row, 5)


@pytest.mark.parametrize("row", [0, 9, 15, 39])
def test_other_rows_do_not(row: int) -> None:
    assert not follows(np.array([10, 40]), row, 5)
