"""The largest singular value of a matrix by Golub-Kahan-Lanczos bidiagonalisation."""

from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32] | NDArray[np.float64]


@attrs.frozen(kw_only=True)
class LanczosPolicy:
    """When the iteration stops."""

    tolerance: float = 1e-5
    """Residual relative to the estimate. A singular value lies within it; the error of the
    estimate is of its square order once it has settled on σ₁."""
    max_iterations: int = 300
    """A Gaussian 4096 x 4096, the worst case met, takes about 60."""


class SpectralNorm(NamedTuple):
    """‖W‖₂ and how it was reached."""

    value: float
    residual: float
    """‖Wᵀu - σv‖ relative to σ."""
    iterations: int
    converged: bool


def spectral_norm(
    weight: Matrix, start: Floats, policy: LanczosPolicy | None = None
) -> SpectralNorm:
    """‖W‖₂ with full reorthogonalisation, stopped on the residual.

    The residual bounds the distance to *a* singular value; from a random start it is the largest
    with high probability (Kuczyński & Woźniakowski 1992, thm. 4.2).

    Args:
        weight: W, shape (m, n), float32 or float64, finite; not mutated.
        start: The start vector, shape (n,), random and non-zero; the caller draws it. Of a wide
            matrix only its first m entries are used.
        policy: Tolerance and limit.

    Returns:
        The norm; 0 for an empty or zero matrix.
    """
    policy = policy or LanczosPolicy()
    if weight.shape[0] < weight.shape[1]:
        # From the long side, min(m, n) steps would not span the row space and the start vector.
        weight, start = weight.T, start[: weight.shape[0]]
    m, n = weight.shape
    steps = min(m, n, policy.max_iterations)
    if not steps or not weight.any():
        return SpectralNorm(0.0, 0.0, 0, converged=True)
    left, right = np.zeros((steps, m)), np.zeros((steps, n))
    bidiagonal = np.zeros((steps, steps))
    v, beta = start / np.linalg.norm(start), 0.0
    value = relative = 0.0
    for k in range(steps):
        right[k] = v
        u = _orthogonal(_times(weight, v), left[:k])
        alpha = float(np.linalg.norm(u))
        left[k] = u / alpha if alpha > 0 else u
        bidiagonal[k, k] = alpha
        if k:
            bidiagonal[k - 1, k] = beta
        w = _orthogonal(_times(weight.T, left[k]), right[: k + 1])
        beta = float(np.linalg.norm(w))
        vectors, values, _ = np.linalg.svd(bidiagonal[: k + 1, : k + 1])
        value = float(values[0])
        relative = beta * abs(float(vectors[k, 0])) / value if value > 0 else 0.0
        if alpha == 0 or relative <= policy.tolerance or k + 1 == min(m, n):
            return SpectralNorm(value, relative, k + 1, converged=True)
        v = w / beta
    return SpectralNorm(value, relative, steps, converged=False)


def _times(matrix: Matrix, vector: Floats) -> Floats:
    product: Floats = (matrix @ vector.astype(matrix.dtype)).astype(np.float64)
    return product


def _orthogonal(vector: Floats, basis: Floats) -> Floats:
    """The part of a vector orthogonal to the rows of a basis; twice is enough (Kahan)."""
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector
