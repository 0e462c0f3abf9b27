"""Golub-Kahan bidiagonalisation of a matrix that is known only by its products with vectors."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]

NEGLIGIBLE = 1e-14
"""β below this share of the largest entry of B is the rounding of an invariant space."""


class LinearMap(NamedTuple):
    """M, shape (m, n), by its products."""

    shape: tuple[int, int]
    times: Callable[[Floats], Floats]
    """x ↦ M·x."""
    transposed_times: Callable[[Floats], Floats]
    """y ↦ Mᵀ·y."""

    def transposed(self) -> "LinearMap":
        """Mᵀ."""
        return LinearMap(self.shape[::-1], self.transposed_times, self.times)


class Bidiagonal(NamedTuple):
    """M·V = U·B and Mᵀ·U = V·Bᵀ + β·v₊·eₖᵀ after k steps."""

    matrix: Floats
    """B, upper bidiagonal, shape (k, k)."""
    beta: float
    """What is left over; 0 where the space is invariant."""
    basis: Floats
    """Vᵀ, orthonormal rows, shape (k, n)."""


class RitzTriplets(NamedTuple):
    """B = P·diag(σ)·Qᵀ and how far each triplet is from one of M."""

    values: Floats
    """σ, shape (k,), descending."""
    right: Floats
    """Qᵀ, shape (k, k); row j gives the right vector V·qⱼ."""
    residuals: Floats
    """‖Mᵀuⱼ - σⱼvⱼ‖ = β·|P[k, j]|, shape (k,); M·vⱼ = σⱼ·uⱼ holds to rounding."""


def matrix_map(matrix: Matrix) -> LinearMap:
    """A matrix as a linear map; products in its own precision, of shape (m,) and (n,)."""
    m, n = matrix.shape
    return LinearMap((m, n), lambda x: times(matrix, x), lambda y: times(matrix.T, y))


def times(matrix: Matrix, vector: Floats) -> Floats:
    """M·x in the precision of M, widened to float64."""
    product: Floats = (matrix @ vector.astype(matrix.dtype)).astype(np.float64)
    return product


def bidiagonalise(operator: LinearMap, start: Floats, steps: int) -> Iterator[Bidiagonal]:
    """Steps of the bidiagonalisation, one product with M and one with Mᵀ each.

    Only V is reorthogonalised and kept: U is then orthogonal as well, as far as B is
    well-conditioned, which is so where the largest values are sought (Simon & Zha 2000).

    Args:
        operator: M, shape (m, n); finite.
        start: Shape (n,), not zero; not mutated.
        steps: The most steps, at most n.

    Yields:
        The state after each step, its arrays views that later steps leave alone. Ends early
        where the space is invariant, or where a product is not finite (overflow).

    References:
        Golub & Kahan 1965, "Calculating the singular values and pseudo-inverse of a matrix";
        Simon & Zha 2000, "Low-rank matrix approximation using the Lanczos bidiagonalization
        process with applications".
    """
    basis = np.empty((steps, operator.shape[1]))
    bidiagonal, largest = np.zeros((steps, steps)), 0.0
    v, u, beta = start / np.linalg.norm(start), np.zeros(operator.shape[0]), 0.0
    for k in range(steps):
        basis[k] = v
        u = operator.times(v) - beta * u
        alpha = float(np.linalg.norm(u))
        if not np.isfinite(alpha):
            return
        bidiagonal[k, k] = alpha
        if k:
            bidiagonal[k - 1, k] = beta
        u = u / alpha if alpha > 0 else u
        w = _orthogonal(operator.transposed_times(u), basis[: k + 1])
        beta = float(np.linalg.norm(w))
        if not np.isfinite(beta):
            return
        largest = max(largest, alpha, beta)
        beta = beta if beta > NEGLIGIBLE * largest else 0.0
        yield Bidiagonal(bidiagonal[: k + 1, : k + 1], beta, basis[: k + 1])
        if not alpha > 0 or not beta > 0:
            return
        v = w / beta


def ritz_triplets(state: Bidiagonal) -> RitzTriplets:
    """Approximate singular triplets of M, and their residuals."""
    left, values, right = np.linalg.svd(state.matrix)
    return RitzTriplets(values, right, state.beta * np.abs(left[-1]))


def _orthogonal(vector: Floats, basis: Floats) -> Floats:
    """The part of a vector orthogonal to the rows of a basis; twice is enough (Kahan)."""
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector
