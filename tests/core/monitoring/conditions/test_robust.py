"""Running medians and scales against NumPy."""

import numpy as np
import pytest

from gradience.core.monitoring.conditions.robust import (
    finite_points,
    logarithms,
    longest_run,
    median,
    odd_window,
    rolling_median,
    scale_around,
    window_medians,
)
from tests.core.monitoring.conditions.training_curves import signals_of


@pytest.mark.parametrize("n", [1, 2, 5, 8, 101])
def test_median_is_numpys(n: int) -> None:
    values = np.random.default_rng(n).standard_normal(n)
    assert median(values) == np.median(values)


def test_median_of_nothing_is_nan() -> None:
    assert np.isnan(median(np.empty(0)))


def test_finite_points_leave_out_what_was_not_logged() -> None:
    points = finite_points(signals_of([1.0, None, float("nan"), 4.0]).history.loss)
    assert points.row.tolist() == [0, 3]
    assert points.value.tolist() == [1.0, 4.0]
    assert points.n == 2


@pytest.mark.parametrize(("n", "expected"), [(10, 5), (100, 11), (101, 11), (10_000, 51), (0, 5)])
def test_odd_window_is_odd_and_within_its_limits(n: int, expected: int) -> None:
    assert odd_window(n, 0.1, 5, 51) == expected


@pytest.mark.parametrize(("n", "window"), [(9, 3), (9, 9), (20, 7), (6, 7)])
def test_rolling_median_is_the_median_of_each_window(n: int, window: int) -> None:
    values = np.random.default_rng(3).standard_normal(n)
    width = min(window, n if n % 2 else n - 1)
    half = width // 2
    centres = np.clip(np.arange(n), half, n - 1 - half)
    expected = [np.median(values[c - half : c + half + 1]) for c in centres]
    assert rolling_median(values, window).tolist() == expected


def test_a_wide_rolling_median_is_interpolated_between_windows() -> None:
    values = np.arange(200.0)
    found = rolling_median(values, 51)
    assert found[25:169] == pytest.approx(values[25:169])
    assert found[0] == 25


def test_rolling_median_of_few_rows_is_the_series() -> None:
    assert rolling_median(np.array([3.0]), 5).tolist() == [3.0]
    assert rolling_median(np.empty(0), 5).size == 0


def test_window_medians_take_the_lower_of_two_middles() -> None:
    windows = window_medians(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    assert windows.start.tolist() == [0, 1, 2]
    assert windows.level.tolist() == [1.0, 2.0, 3.0]


def test_logarithms_hold_zeros_at_a_tiny_share_of_the_mean() -> None:
    assert logarithms(np.array([0.0, 1.0]), 2.0) == pytest.approx([np.log(2e-9), 0.0])


def test_scale_of_gaussian_noise_is_its_standard_deviation() -> None:
    noise = np.random.default_rng(0).standard_normal(20_000)
    assert scale_around(3 + 0.5 * noise, np.full(20_000, 3.0)) == pytest.approx(0.5, rel=0.03)
    assert scale_around(np.empty(0), np.empty(0)) == 0


@pytest.mark.parametrize(
    ("mask", "expected"),
    [("", (0, 0)), ("..", (0, 0)), ("xx.x", (0, 2)), ("x.xx.xx", (5, 7)), ("xxx", (0, 3))],
)
def test_longest_run_is_the_last_of_the_longest(mask: str, expected: tuple[int, int]) -> None:
    assert longest_run(np.array([c == "x" for c in mask], dtype=np.bool_)) == expected
