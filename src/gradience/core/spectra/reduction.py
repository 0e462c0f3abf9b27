"""Singular values of B·A from its factors, without ever forming the product.

The large factors are touched once, in blocks that stay in cache, and reduced to r × r Gram
matrices in float64; everything after that is tiny. Where the Gram route cannot promise the
tolerances (a nearly rank-deficient update), the factors are reduced by QR instead.
"""

import math
from collections.abc import Iterator
from enum import Enum
from typing import cast

import attrs
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Factor = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.float64]
"""A factor as it was read; bfloat16 and float8 arrays (ml_dtypes) are fine at run time."""

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
    gram_error: float = 8.0
    """Error of an entry of a float64 Gram matrix, in units of machine epsilon times the norms of
    its two vectors. Summing n products pairwise keeps it below log₂(n) (Higham 2002, §4.2)."""
    block_elements: int = 2**17
    """Elements widened to float64 at a time: 1 MiB, within a core's second-level cache."""


class Route(Enum):
    """How a spectrum was computed."""

    ZERO = "zero"
    """A factor is exactly zero, and so are all singular values."""
    GRAM = "gram"
    QR = "qr"


@attrs.frozen(eq=False)
class Spectrum:
    """Singular values of B·A (unscaled), float64, descending, of shape (min(r, d_in, d_out),)."""

    singular_values: Floats
    route: Route


def lora_spectrum(
    a: Factor, b: Factor, *, exact: bool = False, policy: ReductionPolicy | None = None
) -> Spectrum:
    """The singular values of B·A.

    With A = R_Aᵀ·Q_Aᵀ and B = Q_B·R_B they are those of R_B·R_Aᵀ, r × r. The Gram route takes
    square roots of AAᵀ and BᵀB for R_A and R_B, after scaling the r directions so that row i of
    A and column i of B have equal norms (which leaves B·A as it is).

    Args:
        a: lora_A, shape (r, d_in), any float dtype including bfloat16 and float8; not mutated.
        b: lora_B, shape (d_out, r), likewise.
        exact: Takes the QR route always, where the smallest singular values matter.
        policy: Tolerances.

    Returns:
        The spectrum; all zeros where a factor is zero.

    Raises:
        ValueError: A shape does not fit or a value is not finite (callers look first, with
            :func:`count_nonfinite`).
    """
    policy = policy or ReductionPolicy()
    if not a.ndim == b.ndim == MATRIX_DIMENSIONS or a.shape[0] != b.shape[1]:
        raise ValueError(
            f"expected lora_A (r, d_in) and lora_B (d_out, r), found {a.shape} and {b.shape}"
        )
    kept = min(a.shape[0], a.shape[1], b.shape[0])
    if not kept or not a.any() or not b.any():
        return Spectrum(np.zeros(kept), Route.ZERO)
    if not exact:
        values = _gram_route(a, b, policy)
        if values is not None:
            return Spectrum(values[:kept], Route.GRAM)
    return Spectrum(_qr_route(a, b)[:kept], Route.QR)


def count_nonfinite(factor: Factor, policy: ReductionPolicy | None = None) -> int:
    """Number of NaN and infinite entries of a factor."""
    policy = policy or ReductionPolicy()
    wide = factor if factor.shape[0] <= factor.shape[1] else factor.T
    return sum(
        int(block.size - np.count_nonzero(np.isfinite(block)))
        for block in _blocks(wide, policy.block_elements)
    )


def row_gram(rows: Factor, block_elements: int) -> Floats:
    """X·Xᵀ in float64 for X of shape (r, d), streamed over blocks of columns."""
    gram = np.zeros((rows.shape[0], rows.shape[0]))
    for block in _blocks(rows, block_elements):
        gram += block @ block.T
    return gram


def _blocks(rows: Factor, block_elements: int) -> Iterator[Floats]:
    """Blocks of columns in float64."""
    height, length = rows.shape
    width = max(1, block_elements // max(1, height))
    for start in range(0, length, width):
        yield np.asarray(rows[:, start : start + width], dtype=np.float64)


def _gram_route(a: Factor, b: Factor, policy: ReductionPolicy) -> Floats | None:
    """The singular values, or None where their error bound exceeds the policy's tolerances."""
    with np.errstate(over="ignore", invalid="ignore"):
        gram_a = row_gram(a, policy.block_elements)
        gram_b = row_gram(b.T, policy.block_elements)
    squares = np.concatenate([np.diag(gram_a), np.diag(gram_b)])
    if not np.isfinite(squares).all() or (squares[squares > 0] < SMALLEST_SQUARE).any():
        return None
    norms_a, norms_b = np.sqrt(np.diag(gram_a)), np.sqrt(np.diag(gram_b))
    used = (norms_a > 0) & (norms_b > 0)
    products = norms_a[used] * norms_b[used]
    if not used.any() or not np.isfinite(products).all() or not products.min() > 0:
        return None
    balance = np.sqrt(norms_b[used] / norms_a[used])
    gram_a = gram_a[np.ix_(used, used)] * np.outer(balance, balance)
    gram_b = gram_b[np.ix_(used, used)] / np.outer(balance, balance)
    root_a, root_b = _square_root(gram_a), _square_root(gram_b)
    values = np.zeros(a.shape[0])
    values[: len(products)] = np.linalg.svd(root_b @ root_a.T, compute_uv=False)
    largest_a, largest_b = np.linalg.norm(gram_a, 2), np.linalg.norm(gram_b, 2)
    error_sq = policy.gram_error * EPS * float(largest_a) * float(largest_b)
    if not np.isfinite(error_sq):
        return None
    return (
        values if _exact_enough(values[: min(a.shape[1], b.shape[0])], error_sq, policy) else None
    )


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


def _square_root(gram: Floats) -> Floats:
    """R with Rᵀ·R = gram, for a symmetric positive semi-definite matrix."""
    eigenvalues, vectors = np.linalg.eigh(gram)
    root: Floats = np.sqrt(np.maximum(eigenvalues, 0.0))[:, None] * vectors.T
    return root


def _qr_route(a: Factor, b: Factor) -> Floats:
    """Singular values of R_B·R_Aᵀ with the factors reduced by Householder QR."""
    wide: Floats = np.asarray(a, dtype=np.float64)
    tall: Floats = np.asarray(b, dtype=np.float64)
    scale_a, scale_b = float(np.abs(wide).max()), float(np.abs(tall).max())
    if not math.isfinite(scale_a) or not math.isfinite(scale_b):
        raise ValueError("expected finite factors, found NaN or infinite values")
    product = _triangle(tall / scale_b) @ _triangle(wide.T / scale_a).T
    return np.linalg.svd(product, compute_uv=False).astype(np.float64) * (scale_a * scale_b)


def _triangle(matrix: Floats) -> Floats:
    """R of the QR decomposition (NumPy's stubs know only the mode that returns Q as well)."""
    return cast("Floats", np.linalg.qr(matrix, mode="r"))
