"""The norms of a base weight."""

import numpy as np
import pytest

from gradience.core.dominance.base_norms import (
    BLOCK_ELEMENTS,
    frobenius_norm,
    weight_norms,
)
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.dominance.spectral_norm import LanczosPolicy

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((30, 20)).astype(np.float32)
START = RNG.standard_normal(20)


def test_norms_are_those_of_the_dense_matrix() -> None:
    found = weight_norms(WEIGHT, START, "w")
    assert isinstance(found, BaseNorms)
    assert found.sigma_max == pytest.approx(np.linalg.norm(WEIGHT, 2), rel=1e-5)
    assert found.fro == pytest.approx(np.linalg.norm(WEIGHT.astype(np.float64)), rel=1e-14)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_weight_that_is_not_finite_has_no_norms(value: float) -> None:
    poisoned = WEIGHT.copy()
    poisoned[3, 3] = value
    assert weight_norms(poisoned, START, "w") == "w holds NaN or infinite values"


def test_an_iteration_that_does_not_settle_says_so() -> None:
    policy = LanczosPolicy(tolerance=1e-14, max_iterations=2)
    assert "did not settle in 2 iterations" in str(weight_norms(WEIGHT, START, "w", policy))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 5)])
def test_an_empty_or_zero_weight_has_norms_of_zero(shape: tuple[int, int]) -> None:
    assert weight_norms(np.zeros(shape, np.float32), np.ones(shape[1]), "w") == (0.0, 0.0)


def test_the_frobenius_norm_is_summed_over_blocks_in_double_precision() -> None:
    # In float32 the sum would stop growing at 2²⁴ squares of one.
    ones = np.ones((3, BLOCK_ELEMENTS // 2 + 1), np.float32)
    assert frobenius_norm(ones) == pytest.approx(np.sqrt(ones.size), rel=1e-14)


def test_the_frobenius_norm_neither_overflows_nor_vanishes() -> None:
    assert frobenius_norm(np.full((2, 2), 1e38, np.float32)) == pytest.approx(2e38)
    assert frobenius_norm(np.full((2, 2), 1e-38, np.float32)) == pytest.approx(2e-38)


def test_the_frobenius_norm_takes_any_layout() -> None:
    expected = pytest.approx(np.linalg.norm(WEIGHT[::2, ::3].astype(np.float64)), rel=1e-14)
    assert frobenius_norm(WEIGHT[::2, ::3]) == expected
    assert frobenius_norm(WEIGHT[::2, ::3].T) == expected
