"""Quantities of known spectra, by hand."""

import math

import numpy as np
import pytest

from gradience.core.spectra.quantities import (
    effective_rank,
    energy_kept,
    energy_rank,
    frobenius_norm,
    stable_rank,
)


def _values(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("values", "expected"),
    [((5.0,), 1.0), ((2.0, 2.0, 2.0), 3.0), ((2.0, 1.0), 1.25), ((3.0, 0.0, 0.0), 1.0)],
)
def test_stable_rank_by_hand(values: tuple[float, ...], expected: float) -> None:
    assert stable_rank(_values(*values)) == pytest.approx(expected, rel=1e-15)


def test_effective_rank_takes_shares_of_values_not_of_squares() -> None:
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(_values(3.0, 1.0)) == pytest.approx(math.exp(entropy), rel=1e-14)


def test_effective_rank_of_equal_values_is_their_number() -> None:
    assert effective_rank(_values(7.0, 7.0, 7.0, 7.0)) == pytest.approx(4.0, rel=1e-14)


def test_zeros_do_not_change_effective_rank() -> None:
    assert effective_rank(_values(3.0, 1.0, 0.0)) == effective_rank(_values(3.0, 1.0))


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.5, 1), (0.8, 1), (0.81, 2), (0.95, 2), (0.951, 3), (1.0, 3)]
)
def test_energy_rank_reaches_the_threshold_in_squares(threshold: float, expected: int) -> None:
    values = np.sqrt(_values(0.80, 0.15, 0.05))
    assert energy_rank(values, threshold) == expected


def test_energy_rank_of_equal_shares_is_not_shifted_by_rounding() -> None:
    assert energy_rank(np.ones(10), 0.90) == 9
    assert energy_rank(np.full(10, 0.1), 0.30) == 3


def test_energy_rank_does_not_need_sorted_values() -> None:
    assert energy_rank(_values(0.1, 5.0, 0.2), 0.9) == 1


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_outside_zero_to_one_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="energy threshold"):
        energy_rank(np.ones(2), threshold)


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros(3)])
def test_a_zero_update_has_no_ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    assert stable_rank(values) is None
    assert effective_rank(values) is None
    assert energy_rank(values, 0.9) is None
    assert energy_kept(values, 1) is None
    assert frobenius_norm(values) == 0.0


@pytest.mark.parametrize("scale", [1e-200, 1e200, 5e-324 * 2**40])
def test_neither_tiny_nor_huge_updates_lose_their_ranks(scale: float) -> None:
    values = scale * _values(4.0, 2.0, 1.0)
    assert stable_rank(values) == pytest.approx(21 / 16)
    assert energy_rank(values, 0.9) == 2
    assert frobenius_norm(values) == pytest.approx(scale * math.sqrt(21))


def test_energy_kept_is_one_from_the_last_value_on() -> None:
    values = _values(2.0, 1.0)
    assert [energy_kept(values, k) for k in (0, 1, 2, 9)] == [0.0, 0.8, 1.0, 1.0]
