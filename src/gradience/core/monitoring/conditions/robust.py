"""Robust statistics of a logged series: medians that run along it, and the noise around them."""

import math
from typing import NamedTuple

import attrs
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradience.core.signals.batch import Floats, Ints, Mask
from gradience.core.signals.buckets import ColumnHistory

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation → standard deviation of a Gaussian (1 / Φ⁻¹(3/4))."""

MEDIAN_VARIANCE = math.pi / 2
"""Variance of a median over that of a mean of the same Gaussian values (asymptotic)."""

EXTREME = 1e100
"""No loss and no gradient norm is that large or that near to zero."""

POSITIVE_FLOOR = 1e-9
"""Share of the mean below which a value counts as this share, where a logarithm is taken."""


WINDOWS_ABREAST = 8
"""Windows of a running median that overlap at any row, where they are that wide."""


@attrs.frozen(eq=False)
class Points:
    """The finite values of one column, in record order; all arrays are of shape (n,)."""

    row: Ints
    """Row (bucket) of the history."""
    value: Floats
    """Last finite value of the row."""
    low: Floats
    high: Floats

    @property
    def n(self) -> int:
        """How many rows have a finite value."""
        return self.row.size

    def select(self, mask: Mask) -> "Points":
        """The points of a mask of shape (n,)."""
        return Points(self.row[mask], self.value[mask], self.low[mask], self.high[mask])


def finite_points(column: ColumnHistory) -> Points:
    """The rows of a column that have a finite value; none for a column never logged.

    Magnitudes beyond :data:`EXTREME` count as that, below its reciprocal as 0: so no ratio and no
    product of two values leaves the range of floats.
    """
    row = np.flatnonzero(np.isfinite(column.value))
    return Points(row, *(_tamed(part[row]) for part in (column.value, column.low, column.high)))


def _tamed(values: Floats) -> Floats:
    sizes = np.abs(values)
    if not ((sizes > EXTREME) | ((sizes < 1 / EXTREME) & (sizes > 0))).any():
        return values
    held: Floats = np.where(sizes < 1 / EXTREME, 0.0, np.clip(values, -EXTREME, EXTREME))
    return held


def median(values: Floats) -> float:
    """The median; NaN of nothing. Without the 10 ms that ``np.median``'s first call costs."""
    n = values.size
    if not n:
        return math.nan
    half = n // 2
    if n % 2:
        return float(np.partition(values, half)[half])
    ordered = np.partition(values, [half - 1, half])
    return float(ordered[half - 1] + ordered[half]) / 2


def odd_window(n: int, share: float, least: int, most: int) -> int:
    """An odd window of about ``share`` of n rows, within the (odd) limits."""
    return min(most, max(least, int(n * share) | 1))


def rolling_median(values: Floats, window: int) -> Floats:
    """The median over ``window`` rows around each row.

    A wide window is taken at every eighth of its width only, with straight lines between.

    Args:
        values: Shape (n,), finite.
        window: Odd; more than n counts as the largest odd number up to n.

    Returns:
        Shape (n,). The first and last ``window // 2`` rows have the first and last full window's.
    """
    n = values.size
    window = min(window, n if n % 2 else n - 1)
    if window <= 1:
        return values
    levels = window_medians(values, window)
    centres = levels.start + window // 2
    return np.interp(np.arange(n), centres, levels.level)


class WindowMedians(NamedTuple):
    """Medians of windows of a series; both arrays are of shape (m,)."""

    start: Ints
    """First row of each window, rising from 0; the last window ends with the series, or less than
    one eighth of its width before."""
    level: Floats


def window_medians(values: Floats, window: int) -> WindowMedians:
    """The (lower) medians of windows of ``window`` rows, one at every eighth of their width.

    Args:
        values: Shape (n,), finite.
        window: From 1 to n.
    """
    stride = max(1, window // WINDOWS_ABREAST)
    windows = sliding_window_view(values, window)[::stride]
    half = (window - 1) // 2
    level = np.partition(windows, half, axis=1)[:, half]
    return WindowMedians(np.arange(level.size) * stride, level)


def logarithms(values: Floats, mean: float) -> Floats:
    """Natural logarithms, with what is near zero (or below) held at a tiny share of ``mean``."""
    logs: Floats = np.log(np.maximum(values, POSITIVE_FLOOR * mean))
    return logs


def scale_around(values: Floats, centre: Floats) -> float:
    """Robust standard deviation of the values around a centre line: MAD × 1.4826; 0 of nothing."""
    return MAD_TO_SIGMA * median(np.abs(values - centre)) if values.size else 0.0


def longest_run(mask: Mask) -> tuple[int, int]:
    """Start and stop of the longest run of true entries (the last of equals); (0, 0) of none."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    starts, stops = edges[::2], edges[1::2]
    if not starts.size:
        return 0, 0
    best = starts.size - 1 - int(np.argmax((stops - starts)[::-1]))
    return int(starts[best]), int(stops[best])
