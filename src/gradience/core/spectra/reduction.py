"""Singular values of B·A from its factors, without ever forming the product.

The large factors are touched once, in blocks that stay in cache, and reduced to r x r Gram
matrices in float64; everything after that is tiny. Where the Gram route cannot promise the
tolerances (a nearly rank-deficient update), the factors are reduced by QR instead.
"""

import math
from enum import Enum
from functools import partial
from typing import cast

import attrs
import numpy as np

from gradience.core.spectra.gram import (
    BLOCK_ELEMENTS,
    GRAM_ERROR,
    Factor,
    Floats,
    GramReduction,
    row_gram,
    wide_blocks,
)

MATRIX_DIMENSIONS = 2

EPS = float(np.finfo(np.float64).eps)

SMALLEST_SQUARE = float(np.finfo(np.float64).tiny) / EPS
"""Sums of squares below this have lost digits to underflow."""


@attrs.frozen(kw_only=True)
class ReductionPolicy:
    """When the Gram route is exact enough."""

    absolute_tolerance: float = 3e-8
    """Largest error of any singular value, relative to σ₁."""
    relative_tolerance: float = 1e-6
    """Largest relative error of a singular value above ``relative_from``·σ₁."""
    relative_from: float = 1e-4
    gram_error: float = GRAM_ERROR
    """Error of an entry of a Gram matrix."""
    block_elements: int = BLOCK_ELEMENTS
    """Elements widened to float64 at a time."""


class Route(Enum):
    """How a spectrum was computed."""

    ZERO = "zero"
    """A factor is exactly zero, and so are all singular values."""
    GRAM = "gram"
    QR = "qr"
    NONFINITE = "nonfinite"
    """A factor holds NaN or infinite values: there are no singular values."""


@attrs.frozen(eq=False)
class Spectrum:
    """Singular values of B·A (unscaled), float64, descending, of shape (min(r, d_in, d_out),)."""

    singular_values: Floats
    """Empty for factors that are not finite."""
    route: Route


def lora_spectrum(
    a: Factor,
    b: Factor,
    *,
    exact: bool = False,
    policy: ReductionPolicy | None = None,
    gram: GramReduction | None = None,
) -> Spectrum:
    """The singular values of B·A.

    With A·Aᵀ = L_A·L_Aᵀ and Bᵀ·B = L_B·L_Bᵀ they are those of L_Bᵀ·L_A, r x r. The r directions
    are rescaled first so that row i of A and column i of B have equal norms, which leaves B·A as
    it is. Where the bound on the rounding error of that route exceeds the policy's tolerances the
    factors are reduced by Householder QR instead.

    Args:
        a: lora_A, shape (r, d_in), any float dtype including bfloat16 and float8; not mutated.
        b: lora_B, shape (d_out, r), likewise.
        exact: Takes the QR route always, where the smallest singular values matter.
        policy: Tolerances.
        gram: Computes X·Xᵀ; :func:`~gradience.core.spectra.gram.row_gram` by default.

    Returns:
        The spectrum; all zeros where a factor is zero, none where a factor is not finite.

    Raises:
        ValueError: A shape does not fit.
    """
    policy = policy or ReductionPolicy()
    if not a.ndim == b.ndim == MATRIX_DIMENSIONS or a.shape[0] != b.shape[1]:
        raise ValueError(
            f"expected lora_A (r, d_in) and lora_B (d_out, r), found {a.shape} and {b.shape}"
        )
    kept = min(a.shape[0], a.shape[1], b.shape[0])
    if not kept:
        return Spectrum(np.zeros(0), Route.ZERO)
    if not exact:
        gram = gram or partial(row_gram, block_elements=policy.block_elements)
        values = _gram_route(gram(a), gram(b.T), kept, policy)
        if values is not None:
            return Spectrum(values, Route.GRAM)
    if any(count_nonfinite(factor, policy) for factor in (a, b)):
        return Spectrum(np.zeros(0), Route.NONFINITE)
    if not a.any() or not b.any():
        return Spectrum(np.zeros(kept), Route.ZERO)
    return Spectrum(_qr_route(a, b)[:kept], Route.QR)


def count_nonfinite(factor: Factor, policy: ReductionPolicy | None = None) -> int:
    """Number of NaN and infinite entries of a factor."""
    policy = policy or ReductionPolicy()
    wide = factor if factor.shape[0] <= factor.shape[1] else factor.T
    with np.errstate(invalid="ignore"):  # a signalling NaN is raised when it is widened
        return sum(
            int(block.size - np.count_nonzero(np.isfinite(block)))
            for block in wide_blocks(wide, policy.block_elements)
        )


def _gram_route(
    gram_a: Floats, gram_b: Floats, kept: int, policy: ReductionPolicy
) -> Floats | None:
    """The first ``kept`` singular values, or None where their error bound is too large."""
    squares_a, squares_b = np.diag(gram_a), np.diag(gram_b)
    squares = np.concatenate([squares_a, squares_b])
    if not np.isfinite(squares).all() or (squares[squares > 0] < SMALLEST_SQUARE).any():
        return None
    used = (squares_a > 0) & (squares_b > 0)
    norms_a, norms_b = np.sqrt(squares_a[used]), np.sqrt(squares_b[used])
    products = norms_a * norms_b
    if not used.any() or not np.isfinite(products).all() or not products.min() > 0:
        return None
    balance = np.sqrt(norms_b / norms_a)
    weights = balance[:, None] * balance
    if not used.all():
        gram_a, gram_b = gram_a[np.ix_(used, used)], gram_b[np.ix_(used, used)]
    gram_a, gram_b = gram_a * weights, gram_b / weights
    try:
        root_a, root_b = np.linalg.cholesky(gram_a), np.linalg.cholesky(gram_b)
    except np.linalg.LinAlgError:
        return None
    values = np.zeros(len(squares_a))
    values[: len(products)] = np.linalg.svd(root_b.T @ root_a, compute_uv=False)
    error_sq = policy.gram_error * EPS * _norm_bound(gram_a) * _norm_bound(gram_b)
    if not np.isfinite(error_sq):
        return None
    return values[:kept] if _exact_enough(values[:kept], error_sq, policy) else None


def _norm_bound(gram: Floats) -> float:
    """An upper bound of ‖G‖₂, without its singular values."""
    frobenius = math.sqrt(float(np.vdot(gram, gram)))
    return min(frobenius, float(np.abs(gram).sum(axis=0).max()))


def _exact_enough(values: Floats, error_sq: float, policy: ReductionPolicy) -> bool:
    """Whether an error of ``error_sq`` in the squares keeps every value within the tolerances."""
    top = values[0]
    if not top > 0:
        return False
    root = np.sqrt(error_sq)
    errors = np.minimum(root, error_sq / np.maximum(values, root / 2))
    relative = values > policy.relative_from * top
    within_absolute = bool((errors <= policy.absolute_tolerance * top).all())
    return within_absolute and bool(
        (errors[relative] <= policy.relative_tolerance * values[relative]).all()
    )


def _qr_route(a: Factor, b: Factor) -> Floats:
    """Singular values of R_B·R_Aᵀ with the factors reduced by Householder QR."""
    wide: Floats = np.asarray(a, dtype=np.float64)
    tall: Floats = np.asarray(b, dtype=np.float64)
    scale_a, scale_b = float(np.abs(wide).max()), float(np.abs(tall).max())
    product = _triangle(tall / scale_b) @ _triangle(wide.T / scale_a).T
    return np.linalg.svd(product, compute_uv=False).astype(np.float64) * (scale_a * scale_b)


def _triangle(matrix: Floats) -> Floats:
    """R of the QR decomposition (NumPy's stubs know only the mode that returns Q as well)."""
    return cast("Floats", np.linalg.qr(matrix, mode="r"))
