"""Laws of the quantities of a spectrum."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.spectra.quantities import (
    effective_rank,
    energy_kept,
    energy_rank,
    frobenius_norm,
    stable_rank,
)
from property_tests.factors import Floats, spectra

THRESHOLDS = st.floats(0.01, 1.0)
SLACK = 1e-9


@given(spectra())
def test_stable_rank_is_between_one_and_effective_rank_and_n(sigma: Floats) -> None:
    stable, effective = stable_rank(sigma), effective_rank(sigma)
    assert stable is not None
    assert effective is not None
    positive = np.count_nonzero(sigma)
    assert 1 - SLACK <= stable <= effective * (1 + SLACK)
    assert effective <= positive * (1 + SLACK)


@given(spectra(), THRESHOLDS, THRESHOLDS)
def test_energy_rank_grows_with_the_threshold(sigma: Floats, one: float, two: float) -> None:
    low, high = energy_rank(sigma, min(one, two)), energy_rank(sigma, max(one, two))
    assert low is not None
    assert high is not None
    assert 1 <= low <= high <= np.count_nonzero(sigma)


@given(spectra(), THRESHOLDS)
def test_energy_rank_is_the_least_that_keeps_enough(sigma: Floats, threshold: float) -> None:
    k = energy_rank(sigma, threshold)
    assert k is not None
    assert (energy_kept(sigma, k) or 0.0) >= threshold - SLACK
    assert k == 1 or (energy_kept(sigma, k - 1) or 0.0) < threshold


@given(spectra())
def test_quantities_are_the_naive_ones(sigma: Floats) -> None:
    values = [float(value) for value in sigma / sigma[0]]
    total = sum(values)
    entropy = -sum(v / total * math.log(v / total) for v in values if v > 0)
    assert stable_rank(sigma) == pytest.approx(sum(v * v for v in values))
    assert effective_rank(sigma) == pytest.approx(math.exp(entropy))
    squares = math.sqrt(sum(v * v for v in values))
    assert frobenius_norm(sigma) == pytest.approx(float(sigma[0]) * squares)


@given(spectra(), st.floats(1e-6, 1e6), THRESHOLDS)
def test_ranks_do_not_depend_on_scale(sigma: Floats, c: float, threshold: float) -> None:
    assert stable_rank(c * sigma) == pytest.approx(stable_rank(sigma))
    assert effective_rank(c * sigma) == pytest.approx(effective_rank(sigma))
    kept = energy_kept(c * sigma, energy_rank(sigma, threshold) or 0)
    assert (kept or 0.0) >= threshold - SLACK


@given(spectra(), st.integers(0, 2**32 - 1))
def test_order_does_not_matter(sigma: Floats, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(sigma)
    assert stable_rank(shuffled) == pytest.approx(stable_rank(sigma))
    assert effective_rank(shuffled) == pytest.approx(effective_rank(sigma))
    assert energy_rank(shuffled, 0.9) == energy_rank(sigma, 0.9)


@given(spectra(), st.integers(1, 5), THRESHOLDS)
def test_further_zeros_change_nothing(sigma: Floats, zeros: int, threshold: float) -> None:
    longer = np.concatenate([sigma, np.zeros(zeros)])
    assert stable_rank(longer) == pytest.approx(stable_rank(sigma))
    assert effective_rank(longer) == pytest.approx(effective_rank(sigma))
    assert energy_rank(longer, threshold) == energy_rank(sigma, threshold)


@given(st.integers(0, 9), THRESHOLDS)
def test_a_zero_update_has_no_rank(n: int, threshold: float) -> None:
    zero = np.zeros(n)
    found = (stable_rank(zero), effective_rank(zero), energy_rank(zero, threshold))
    assert found == (None, None, None)
    assert energy_kept(zero, 1) is None


@given(spectra())
def test_energy_kept_grows_to_one(sigma: Floats) -> None:
    kept = [energy_kept(sigma, k) or 0.0 for k in range(sigma.size + 1)]
    assert all(one <= two + SLACK for one, two in pairwise(kept))
    assert kept[-1] == pytest.approx(1.0)
