"""What the quantities of a spectrum are for pure noise: a random B·A of the same shape and rank.

Stable rank / r is below 1 for noise too, and depends on the shape, so a quantity tells something
only beside the same quantity of noise (Horn's parallel analysis, 1965).
"""

import math
from typing import NamedTuple

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.spectra.quantities import (
    ENERGY_ROUNDING,
    effective_rank,
    stable_rank,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NULL_METHOD = (
    "Random B·A of the same shape and rank, independent Gaussian entries (Bartlett): 200 draws up "
    "to r=44, 97 at r=64, 20 from r=139. Standard error of a mean 0.3 % (1 % where r exceeds a "
    "dimension), of the standard deviations that z counts 5 %, 7 % and 16 %."
)
"""What a null comparison is, and its error: for a report, and short enough for telemetry."""

LOW, MEDIAN, HIGH = 0.05, 0.50, 0.95
"""Quantiles of each direction's share; parallel analysis compares with the last (Glorfeld 1995:
the 95 % quantile in place of Horn's mean, which keeps too many)."""

LEAST_DRAWS = 2
"""A standard deviation needs two."""


@attrs.frozen(kw_only=True)
class DrawsPolicy:
    """How many random updates make a baseline: fewer for larger ranks, whose spread is smaller."""

    entries: int = 400_000
    """Entries of all r × r matrices together: about 35 ms of one core (measured at r=64) …"""
    most: int = 200
    """… but no more draws than this: the standard error is then 0.07 standard deviations …"""
    least: int = 20
    """… and no fewer: below about 14 the 95 % quantile lies beyond the largest draw."""

    def draws_for(self, r: int) -> int:
        """The number of draws at rank ``r``."""
        return min(self.most, max(self.least, self.entries // (r * r)))


@attrs.frozen(kw_only=True, eq=False)
class NullDraws:
    """Independent random numbers for a baseline, float64, with one row per draw.

    :func:`entries_below` and :func:`degrees_of_freedom` tell the lengths of the rows.
    """

    normals_a: Floats
    """N(0, 1), shape (n_draws, ``entries_below(r, d_in)``)."""
    chis_a: Floats
    """χ (the root of χ²) with ``degrees_of_freedom(r, d_in)``, shape (n_draws, min(r, d_in))."""
    normals_b: Floats
    chis_b: Floats


class NullQuantity(NamedTuple):
    """One quantity over the draws."""

    mean: float
    sd: float
    """Standard deviation of one draw."""
    sem: float
    """Standard error of the mean, sd / √n."""


@attrs.frozen(kw_only=True)
class NullBaseline:
    """The quantities of :mod:`gradience.core.spectra.quantities` for noise of one shape and rank.

    Shares are σᵢ²/Σσ², one for each of the min(r, d_in, d_out) directions, largest first.
    """

    r: int
    n_draws: int
    stable_rank: NullQuantity
    effective_rank: NullQuantity
    energy_rank_90: NullQuantity
    energy_rank_95: NullQuantity
    energy_rank_99: NullQuantity
    share_p05: tuple[float, ...]
    share_p50: tuple[float, ...]
    share_p95: tuple[float, ...]


class NullComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A module's spectrum beside that of noise of its shape and rank."""

    stable_rank_null: float
    effective_rank_null: float
    energy_rank_90_null: float
    utilization_null: float
    """The null's stable rank / r."""
    stable_rank_z: float | None
    """(observed - null) / null's standard deviation: far below 0 means that few directions
    dominate. None where the null does not vary (r = 1)."""
    effective_rank_z: float | None
    utilization_vs_null: float
    """Observed stable rank / the null's: 1 for noise."""


def entries_below(r: int, d: int) -> int:
    """Number of entries strictly below the diagonal of the r × min(r, d) Bartlett factor."""
    return int(np.tril_indices(r, -1, min(r, d))[0].size)


def degrees_of_freedom(r: int, d: int) -> Ints:
    """d, d-1, … of the min(r, d) diagonal entries of the Bartlett factor."""
    return d - np.arange(min(r, d), dtype=np.int64)


def null_baseline(r: int, d_out: int, d_in: int, draws: NullDraws) -> NullBaseline:
    """The quantities of random updates B·A with independent N(0, 1) entries.

    A (r × d_in) has the distribution of L_A·Q with Q a random row-orthogonal matrix and L_A lower
    trapezoidal: χ(d_in - i) in row i of the diagonal, N(0, 1) below. So have Bᵀ and L_B, and the
    singular values of B·A are those of L_Bᵀ·L_A, which is at most r × r. The scale of the entries
    cancels in every quantity.

    Args:
        r: The rank, at least 1; it may exceed a dimension.
        d_out: Rows of B, at least 1.
        d_in: Columns of A, at least 1.
        draws: The random numbers.

    Returns:
        The baseline. Where min(r, d_out, d_in) is 1 everything is exactly 1, without spread.

    Raises:
        ValueError: A dimension is below 1, the arrays do not fit it, there are fewer than two
            draws, or a draw is a zero update.

    References:
        Bartlett 1933; Muirhead, Aspects of Multivariate Statistical Theory (1982), theorem 3.2.14.
    """
    if min(r, d_out, d_in) < 1:
        raise ValueError(f"expected r, d_out and d_in of at least 1, found {r}, {d_out}, {d_in}")
    root_a = _bartlett(r, d_in, draws.normals_a, draws.chis_a)
    root_b = _bartlett(r, d_out, draws.normals_b, draws.chis_b)
    if not len(root_a) == len(root_b) >= LEAST_DRAWS:
        raise ValueError(
            f"expected equally many draws of both factors, at least {LEAST_DRAWS}, found "
            f"{len(root_a)} and {len(root_b)}"
        )
    values = np.linalg.svd(root_b.transpose(0, 2, 1) @ root_a, compute_uv=False)
    if not values[:, 0].min() > 0:
        raise ValueError("expected draws of a continuous distribution, found a zero update")
    return _summary(r, values / values[:, :1])


def stand_out(observed: float, mean: float, sd: float) -> float | None:
    """(observed - mean) / sd, None where the null does not vary."""
    return (observed - mean) / sd if sd > 0 else None


def compare_with_null(singular_values: Floats, baseline: NullBaseline) -> NullComparison | None:
    """A spectrum beside noise of its shape and rank.

    Args:
        singular_values: float64 of shape (min(r, d_in, d_out),), non-negative and finite.
        baseline: The noise of that shape and rank.

    Returns:
        The comparison; None for a zero update.
    """
    stable, effective = stable_rank(singular_values), effective_rank(singular_values)
    if stable is None or effective is None:
        return None
    null_stable, null_effective = baseline.stable_rank, baseline.effective_rank
    return NullComparison(
        stable_rank_null=null_stable.mean,
        effective_rank_null=null_effective.mean,
        energy_rank_90_null=baseline.energy_rank_90.mean,
        utilization_null=null_stable.mean / baseline.r,
        stable_rank_z=stand_out(stable, null_stable.mean, null_stable.sd),
        effective_rank_z=stand_out(effective, null_effective.mean, null_effective.sd),
        utilization_vs_null=stable / null_stable.mean,
    )


def _bartlett(r: int, d: int, normals: Floats, chis: Floats) -> Floats:
    """Lower trapezoidal L of shape (n_draws, r, min(r, d)) with L·Lᵀ ~ Wishart(d)."""
    columns = min(r, d)
    below = np.tril_indices(r, -1, columns)
    expected = (len(chis), below[0].size), (len(chis), columns)
    if (normals.shape, chis.shape) != expected:
        raise ValueError(
            f"expected normals and chis of shapes {expected[0]} and {expected[1]} for rank {r} and "
            f"dimension {d}, found {normals.shape} and {chis.shape}"
        )
    root = np.zeros((len(chis), r, columns))
    root[:, below[0], below[1]] = normals
    diagonal = np.arange(columns)
    root[:, diagonal, diagonal] = chis
    return root


def _summary(r: int, relative: Floats) -> NullBaseline:
    """From σ/σ₁, shape (n_draws, n), descending in each row."""
    squares = relative**2
    energy = np.cumsum(squares, axis=1)
    shares = squares / energy[:, -1:]
    low, median, high = (_column_quantile(np.sort(shares, axis=0), q) for q in (LOW, MEDIAN, HIGH))
    return NullBaseline(
        r=r,
        n_draws=len(relative),
        stable_rank=_quantity(energy[:, -1]),
        effective_rank=_quantity(_effective_ranks(relative)),
        energy_rank_90=_quantity(_energy_ranks(energy, 0.90)),
        energy_rank_95=_quantity(_energy_ranks(energy, 0.95)),
        energy_rank_99=_quantity(_energy_ranks(energy, 0.99)),
        share_p05=tuple(low.tolist()),
        share_p50=tuple(median.tolist()),
        share_p95=tuple(high.tolist()),
    )


def _column_quantile(ascending: Floats, q: float) -> Floats:
    """The median-unbiased quantile of each column (Hyndman & Fan 1996, definition 8)."""
    count = len(ascending)
    place = min(max((count + 1 / 3) * q - 2 / 3, 0.0), count - 1.0)
    below = math.floor(place)
    above = min(below + 1, count - 1)
    found: Floats = ascending[below] + (ascending[above] - ascending[below]) * (place - below)
    return found


def _effective_ranks(relative: Floats) -> Floats:
    shares = relative / relative.sum(axis=1, keepdims=True)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    ranks: Floats = np.exp(-np.sum(shares * logs, axis=1))
    return ranks


def _energy_ranks(energy: Floats, threshold: float) -> Floats:
    reached = energy >= (threshold - ENERGY_ROUNDING) * energy[:, -1:]
    ranks: Floats = reached.argmax(axis=1) + 1.0
    return ranks


def _quantity(values: Floats) -> NullQuantity:
    sd = float(np.std(values, ddof=1))
    return NullQuantity(mean=float(np.mean(values)), sd=sd, sem=sd / math.sqrt(len(values)))
