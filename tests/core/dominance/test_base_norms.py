"""The norms of a base weight, and why a stored tensor may not be one."""

import numpy as np
import pytest

from gradience.core.dominance.base_norms import weight_norms, weight_problem
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.dominance.spectral_norm import LanczosPolicy

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((30, 20)).astype(np.float32)
START = RNG.standard_normal(20)


def test_norms_are_those_of_the_dense_matrix() -> None:
    found = weight_norms(WEIGHT, START, "w")
    assert isinstance(found, BaseNorms)
    assert found.sigma_max == pytest.approx(np.linalg.norm(WEIGHT, 2), rel=1e-5)
    assert found.fro == pytest.approx(np.linalg.norm(WEIGHT), rel=1e-6)


def test_a_weight_that_is_not_finite_has_no_norms() -> None:
    poisoned = WEIGHT.copy()
    poisoned[3, 3] = np.inf
    assert weight_norms(poisoned, START, "w") == "w holds NaN or infinite values"


def test_an_iteration_that_does_not_settle_says_so() -> None:
    policy = LanczosPolicy(tolerance=1e-14, max_iterations=2)
    assert "did not settle in 2 iterations" in str(weight_norms(WEIGHT, START, "w", policy))


@pytest.mark.parametrize("stored", [(30, 20), (20, 30)])
def test_a_weight_may_be_stored_transposed(stored: tuple[int, int]) -> None:
    assert weight_problem("w", "BF16", stored, (30, 20)) is None


@pytest.mark.parametrize(
    ("dtype", "stored", "reason"),
    [("I8", (30, 20), "not dequantised yet"), ("F32", (30, 21), "has shape (30, 21)")],
)
def test_another_tensor_is_refused_with_the_reason(
    dtype: str, stored: tuple[int, int], reason: str
) -> None:
    assert reason in str(weight_problem("w", dtype, stored, (30, 20)))
