"""Singular values of B·A from the Gram matrices of its factors alone.

For where the factors themselves are out of reach (on a device, in the middle of training): there is
no second route to turn to, so an update that the Gram matrices cannot tell is said to be none.
"""

import math

import attrs
import numpy as np

from gradience.core.spectra.gram import GRAM_ERROR, Floats
from gradience.core.spectra.reduction import Route, Spectrum


@attrs.frozen(kw_only=True)
class GramPolicy:
    """When Gram matrices tell the spectrum well enough."""

    tolerance: float = 1e-3
    """Largest relative error of σ₁, and largest error of Σσ² relative to σ₁² (inferred: far below
    what a step of training changes)."""
    gram_error: float = GRAM_ERROR
    """Error of an entry of a Gram matrix."""


def spectrum_of_grams(
    gram_a: Floats,
    gram_b: Floats,
    kept: int,
    *,
    single: bool = False,
    policy: GramPolicy | None = None,
) -> Spectrum | None:
    """The singular values of B·A: roots of the eigenvalues of Rᵀ·(A·Aᵀ)·R with Bᵀ·B = R·Rᵀ.

    The directions are rescaled first so that row i of A and column i of B have equal norms, which
    leaves B·A as it is.

    Args:
        gram_a: A·Aᵀ, (r, r).
        gram_b: Bᵀ·B, (r, r).
        kept: Number of singular values, min(r, d_in, d_out).
        single: Whether the Gram matrices were computed in float32, not in float64.
        policy: The tolerance.

    Returns:
        The spectrum: all zeros where a factor is zero, no values where one is not finite or
        its squares overflow. None where rounding may have changed it by more than the tolerance
        (the directions of large factors cancel), or where squares have underflowed.
    """
    policy = policy or GramPolicy()
    squares_a, squares_b = np.diag(gram_a), np.diag(gram_b)
    if not (np.isfinite(gram_a).all() and np.isfinite(gram_b).all()):
        return Spectrum(np.zeros(0), Route.NONFINITE)
    used = (squares_a > 0) & (squares_b > 0)
    values = np.zeros(kept)
    if not used.any():
        return Spectrum(values, Route.ZERO)
    arithmetic = np.finfo(np.float32 if single else np.float64)
    least = min(squares_a[used].min(), squares_b[used].min())
    if least * arithmetic.eps < arithmetic.tiny:
        return None
    balance = squares_b[used] ** 0.25 / squares_a[used] ** 0.25
    weights = balance[:, None] * balance
    inner = np.ix_(used, used)
    with np.errstate(all="ignore"):
        left, right = gram_a[inner] * weights, gram_b[inner] / weights
        error = 2 * policy.gram_error * float(arithmetic.eps) * _norm(left) * _norm(right)
    if not (np.isfinite(left).all() and np.isfinite(right).all() and math.isfinite(error)):
        return None
    root = _root(right)
    squares = np.linalg.eigvalsh(root.T @ left @ root)[::-1][:kept]
    if not error * len(squares_a) <= policy.tolerance * squares[0]:
        return None
    values[: len(squares)] = np.sqrt(np.maximum(squares, 0.0))
    return Spectrum(values, Route.GRAM)


def _norm(matrix: Floats) -> float:
    return float(np.linalg.norm(matrix))


def _root(gram: Floats) -> Floats:
    """R with R·Rᵀ = G; by eigenvalues where G is singular."""
    try:
        lower: Floats = np.linalg.cholesky(gram).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(gram)
        root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
        return root
    return lower
