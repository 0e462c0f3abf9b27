"""The largest singular value by Lanczos, on matrices that are easy to get wrong."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gradience.core.dominance.spectral_norm import LanczosPolicy, spectral_norm

Floats = NDArray[np.float64]


def _start(n: int) -> Floats:
    return np.random.default_rng(7).standard_normal(n)


def _with_values(values: Floats, m: int, n: int) -> Floats:
    generator = np.random.default_rng(1)
    left, _ = np.linalg.qr(generator.standard_normal((m, values.size)))
    right, _ = np.linalg.qr(generator.standard_normal((n, values.size)))
    product: Floats = (left * values) @ right.T
    return product


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 30), (30, 1), (2, 768), (768, 2), (40, 25), (25, 40), (200, 300)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_are_those_of_numpy(shape: tuple[int, int], dtype: type[np.float64]) -> None:
    weight: Floats = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    found = spectral_norm(weight, _start(shape[1]))
    expected = np.linalg.norm(weight.astype(np.float64), 2)
    assert found.converged
    assert found.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        np.array([5.0]),
        np.array([100.0, 1.0, 0.99, 0.98]),
        np.full(60, 3.0),
        np.concatenate([[1.0, 1.0 - 1e-9], np.linspace(0.99, 0.9, 60)]),
        np.logspace(0, -8, 50),
        np.array([1.0, 0.0, 0.0, 0.0]),
    ],
    ids=["rank_one", "outlier", "all_equal", "clustered", "graded", "deficient"],
)
def test_difficult_spectra_are_settled(values: Floats) -> None:
    found = spectral_norm(_with_values(values, 90, 70), _start(70))
    assert found.converged
    assert found.value == pytest.approx(values[0], rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (4, 0)])
def test_zero_and_empty_matrices_have_norm_zero(shape: tuple[int, int]) -> None:
    assert spectral_norm(np.zeros(shape), np.ones(shape[1])).value == 0.0


def test_a_limit_that_is_too_small_is_told() -> None:
    weight = np.random.default_rng(0).standard_normal((60, 60))
    found = spectral_norm(weight, _start(60), LanczosPolicy(max_iterations=2))
    assert not found.converged
    assert found.iterations == 2


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_moves_the_norm_alone(scale: float) -> None:
    weight = np.random.default_rng(0).standard_normal((20, 15)).astype(np.float32)
    found = spectral_norm(weight * np.float32(scale), _start(15))
    expected = scale * np.linalg.norm(weight.astype(np.float64), 2)
    assert found.value == pytest.approx(expected, rel=1e-5)


def test_the_weight_and_the_start_are_left_alone() -> None:
    weight, start = np.ones((5, 4)), _start(4)
    before = start.copy()
    spectral_norm(weight, start)
    assert (weight == 1).all()
    assert (start == before).all()


def test_values_closer_than_the_tolerance_cost_no_more_than_it() -> None:
    values = np.array([1.0, *[1.0 - 9e-6] * 19])
    found = spectral_norm(_with_values(values, 20, 20), _start(20))
    assert found.value == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("shape", [(50, 30), (30, 50)])
def test_the_residual_bounds_the_distance_to_a_singular_value(shape: tuple[int, int]) -> None:
    weight = np.random.default_rng(0).standard_normal(shape)
    found = spectral_norm(weight, _start(shape[1]), LanczosPolicy(tolerance=0.05))
    values = np.linalg.svd(weight, compute_uv=False)
    assert 0 < found.residual <= 0.05
    assert np.abs(values - found.value).min() <= found.residual * found.value


def test_at_the_limit_a_residual_within_the_promise_is_enough() -> None:
    weight = np.random.default_rng(0).standard_normal((80, 60))
    policy = LanczosPolicy(max_iterations=20, tolerance_at_limit=0.01)
    found = spectral_norm(weight, _start(60), policy)
    assert found.converged
    assert found.iterations == 20
    assert found.residual > policy.tolerance


def test_products_that_overflow_are_not_taken_for_a_norm() -> None:
    assert not spectral_norm(np.full((9, 9), 3e38, np.float32), _start(9)).converged


def test_products_that_vanish_are_not_taken_for_zero() -> None:
    assert not spectral_norm(np.full((9, 9), 1e-45, np.float32), np.ones(9)).converged


@pytest.mark.parametrize("gap", [1.5e-4, 1e-3])
def test_of_two_close_values_the_larger_is_found_from_a_start_with_little_of_it(
    gap: float,
) -> None:
    values = np.concatenate([[1.0, 1.0 - gap], np.linspace(0.5, 0.1, 28)])
    right, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((30, 30)))
    start = right @ np.concatenate([[0.02], np.ones(29)])
    found = spectral_norm(values[:, None] * right.T, start)
    assert found.value == pytest.approx(1.0, rel=1e-4)
