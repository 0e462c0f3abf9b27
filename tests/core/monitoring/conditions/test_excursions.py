"""Short jumps above a level, and what is none."""

import numpy as np
import pytest

from gradience.core.monitoring.conditions.excursions import (
    Excursion,
    ExcursionPolicy,
    find_excursions,
)
from gradience.core.monitoring.conditions.robust import finite_points
from gradience.core.signals.history import MAX_BUCKETS
from tests.core.monitoring.conditions.training_curves import Numbers, calm, signals_of

POLICY = ExcursionPolicy(min_ratio=1.5, min_score=5.0)


def excursions(values: Numbers, policy: ExcursionPolicy = POLICY) -> tuple[Excursion, ...]:
    return find_excursions(finite_points(signals_of(values).history.loss), policy)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_jump_is_measured_against_the_level_around_it(rows: int) -> None:
    values = calm(100)
    values[60 : 60 + rows] = 6.0
    (found,) = excursions(values)
    assert (found.start, found.stop, found.peak, found.height) == (60, 60 + rows, 60, 6.0)
    assert found.ratio == pytest.approx(3.0, rel=0.05)
    assert found.level == max(found.before, found.after)


def test_a_jump_at_the_end_has_no_level_after() -> None:
    values = calm(100)
    values[-1] = 6.0
    (found,) = excursions(values)
    assert np.isnan(found.after)
    assert found.level == found.before


@pytest.mark.parametrize("values", [np.zeros(50), np.ones(11), np.empty(0)])
def test_no_level_no_excursion(values: Numbers) -> None:
    assert excursions(values) == ()


def test_a_steep_fall_from_the_start_is_none() -> None:
    assert excursions(np.concatenate([[19.0, 18.0, 15.0, 4.0, 0.4], np.full(50, 0.04)])) == ()


def test_a_step_up_or_down_is_none() -> None:
    assert excursions(np.concatenate([calm(60), 3 * calm(60)])) == ()
    assert excursions(np.concatenate([3 * calm(60), calm(60)])) == ()


def test_the_highest_are_kept_where_there_are_too_many() -> None:
    values = calm(300)
    values[50:250:20] = 2.0 * np.arange(5, 15)
    found = excursions(values, ExcursionPolicy(min_ratio=1.5, min_score=5.0, most=3))
    assert [one.height for one in found] == [24.0, 26.0, 28.0]


def test_the_peak_inside_a_bucket_is_seen() -> None:
    values = calm(4 * MAX_BUCKETS)
    values[9001] = 7.0
    (found,) = excursions(values)
    assert found.height == 7.0
    assert found.start == 9001 // 4
