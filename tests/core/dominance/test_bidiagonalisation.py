"""Golub-Kahan bidiagonalisation: its own relations, and where it ends."""

import numpy as np
import pytest

from gradience.core.dominance.bidiagonalisation import (
    Floats,
    LinearMap,
    bidiagonalise,
    matrix_map,
    ritz_triplets,
)

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((30, 20))
START = RNG.standard_normal(20)


def test_the_basis_is_orthonormal_and_begins_with_the_start() -> None:
    *_, last = bidiagonalise(matrix_map(MATRIX), START, 12)
    np.testing.assert_allclose(last.basis @ last.basis.T, np.eye(12), atol=1e-13)
    np.testing.assert_allclose(last.basis[0], START / np.linalg.norm(START))


def test_the_squares_of_b_are_the_matrix_seen_from_the_basis() -> None:
    *_, last = bidiagonalise(matrix_map(MATRIX), START, 12)
    seen = last.basis @ MATRIX.T @ MATRIX @ last.basis.T
    np.testing.assert_allclose(last.matrix.T @ last.matrix, seen, atol=1e-11)


def test_earlier_states_stay_as_they_were() -> None:
    states = bidiagonalise(matrix_map(MATRIX), START, 6)
    first = next(states)
    before = first.matrix.copy(), first.basis.copy()
    list(states)
    assert (first.matrix == before[0]).all()
    assert (first.basis == before[1]).all()


def test_residuals_are_those_of_the_vectors() -> None:
    *_, last = bidiagonalise(matrix_map(MATRIX), START, 8)
    triplets = ritz_triplets(last)
    right = triplets.right @ last.basis
    left = MATRIX @ right.T / triplets.values
    residuals = np.linalg.norm(MATRIX.T @ left - right.T * triplets.values, axis=0)
    np.testing.assert_allclose(triplets.residuals, residuals, atol=1e-12)


def test_all_steps_give_all_values() -> None:
    *_, last = bidiagonalise(matrix_map(MATRIX), START, 20)
    expected = np.linalg.svd(MATRIX, compute_uv=False)
    np.testing.assert_allclose(ritz_triplets(last).values, expected)


@pytest.mark.parametrize("rank", [1, 3])
def test_an_invariant_space_ends_it(rank: int) -> None:
    deficient = RNG.standard_normal((30, rank)) @ RNG.standard_normal((rank, 20))
    states = list(bidiagonalise(matrix_map(deficient), START, 20))
    assert len(states) in {rank, rank + 1}
    assert states[-1].beta == 0 or states[-1].matrix[-1, -1] < 1e-12


def test_a_zero_matrix_ends_it_at_once() -> None:
    (only,) = bidiagonalise(matrix_map(np.zeros((4, 3))), np.ones(3), 3)
    assert only.beta == 0
    assert only.matrix == [[0.0]]


def test_a_product_that_is_not_finite_ends_it() -> None:
    def broken(x: Floats) -> Floats:
        return np.full(4, np.inf * x[0])

    assert not list(bidiagonalise(LinearMap((4, 3), broken, broken), np.ones(3), 3))


def test_the_transposed_map_swaps_shape_and_products() -> None:
    swapped = matrix_map(MATRIX).transposed()
    assert swapped.shape == (20, 30)
    np.testing.assert_allclose(swapped.times(MATRIX[:, 0]), MATRIX.T @ MATRIX[:, 0])
    np.testing.assert_allclose(swapped.transposed_times(START), MATRIX @ START)


def test_single_precision_products_are_widened() -> None:
    single = MATRIX.astype(np.float32)
    found = matrix_map(single).times(START)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, MATRIX @ START, rtol=1e-4, atol=1e-5)
