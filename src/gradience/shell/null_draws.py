"""The random numbers of a null baseline, and the baselines kept by shape."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gradience.core.spectra.null_baseline import (
    DrawsPolicy,
    NullBaseline,
    NullDraws,
    degrees_of_freedom,
    entries_below,
    null_baseline,
)

SHAPES_KEPT = 256
"""Baselines kept in memory, of a few kilobytes each; an adapter has a handful of shapes."""


def null_for(r: int, d_out: int, d_in: int) -> NullBaseline:
    """The baseline of a shape and rank, the same in every process.

    ΔW and its transpose have the same singular values, so they share a baseline.

    Args:
        r: The rank.
        d_out: Rows of B.
        d_in: Columns of A.

    Returns:
        The baseline, drawn at the first call for its shape and then kept.

    Raises:
        ValueError: One of the numbers is below 1.
    """
    return _kept(r, min(d_out, d_in), max(d_out, d_in))


def draw_null(r: int, d_out: int, d_in: int, policy: DrawsPolicy | None = None) -> NullDraws:
    """Random numbers seeded by the shape.

    ``RandomState`` is NumPy's legacy generator: its streams are frozen (NEP 19), so that a report
    does not change with the version of NumPy.

    Args:
        r: The rank, at least 1.
        d_out: Rows of B, at least 1.
        d_in: Columns of A, at least 1.
        policy: The number of draws.

    Returns:
        The draws for :func:`null_baseline`.
    """
    count = (policy or DrawsPolicy()).draws_for(r)
    state = np.random.RandomState([r, d_out, d_in])
    return NullDraws(
        normals_a=state.standard_normal((count, entries_below(r, d_in))),
        chis_a=_chis(state, count, r, d_in),
        normals_b=state.standard_normal((count, entries_below(r, d_out))),
        chis_b=_chis(state, count, r, d_out),
    )


def _chis(state: np.random.RandomState, count: int, r: int, d: int) -> NDArray[np.float64]:
    degrees = degrees_of_freedom(r, d)
    return np.sqrt(state.chisquare(degrees, (count, degrees.size)))


@lru_cache(maxsize=SHAPES_KEPT)
def _kept(r: int, d_out: int, d_in: int) -> NullBaseline:
    if min(r, d_out, d_in) < 1:
        raise ValueError(f"expected r, d_out and d_in of at least 1, found {r}, {d_out}, {d_in}")
    return null_baseline(r, d_out, d_in, draw_null(r, d_out, d_in))
