"""Excursions of a positive series: short jumps far above its own level and its own noise.

All is measured on logarithms, so that neither the unit nor the height of the series matters: an
excursion is a ratio to the level around it, set against the robust spread of such ratios nearby.
"""

import math
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.conditions.robust import (
    MAD_TO_SIGMA,
    Points,
    logarithms,
    median,
    odd_window,
    rolling_median,
)
from gradience.core.signals.batch import Floats, Ints, Mask


@attrs.frozen(kw_only=True)
class ExcursionPolicy:
    """What counts as an excursion.

    The numbers are inferred: see the measured rates of the conditions that use them.
    """

    min_ratio: float
    """Least peak over the level before it, and over the level after it."""
    min_score: float
    """Least height above the running median, in robust standard deviations of the logarithm."""
    min_rows: int = 12
    """Shorter series have no level of their own yet."""
    min_before: int = 5
    """Rows that must precede: the first rows of a run fall from wherever it began."""
    longest: int = 5
    """Rows that an excursion may last; a longer one is a change of level."""
    longest_share: float = 0.01
    """The same as a share of the series, where that is more."""
    window: int = 21
    """Rows of the running median: twice the longest excursion and more, so that no excursion
    moves it; of a short series ``window_share``, and …"""
    window_share: float = 1 / 3
    min_window: int = 7
    """… at least these."""
    scale_window: int = 65
    """Rows over which the noise is measured: noise falls with the loss, so it is local."""
    scale_floor: float = 0.03
    """Least noise of the logarithm: logs round to four digits, and a still series is no
    excuse."""
    reference_rows: int = 10
    """Rows before and after that give the level an excursion is measured against."""
    above_before: float = 1.2
    """A peak must be this many times the highest of the reference rows before it."""
    most: int = 64
    """Excursions looked at, the highest first: a series with more of them has no level."""


class Excursion(NamedTuple):
    """One jump: points ``start`` to ``stop - 1`` of a series."""

    start: int
    stop: int
    peak: int
    """The point of the largest value."""
    height: float
    """That value."""
    before: float
    """The level of the series before."""
    after: float
    """The level after; NaN where the series ends with the jump."""
    score: float
    """Height above the running median, in robust standard deviations of the logarithm."""

    @property
    def level(self) -> float:
        """The level that the jump left: the larger one of before and after."""
        return self.before if math.isnan(self.after) else max(self.before, self.after)

    @property
    def ratio(self) -> float:
        """Height over level."""
        return self.height / self.level


def find_excursions(points: Points, policy: ExcursionPolicy) -> tuple[Excursion, ...]:
    """The excursions of a series, in order.

    Args:
        points: A series without negative values; zeros count as tiny.
        policy: The thresholds.

    Returns:
        At most ``policy.most``; none for a series that is too short or all zero.
    """
    mean = float(np.mean(points.value)) if points.n else 0.0
    if points.n < policy.min_rows or mean <= 0 or not math.isfinite(mean):
        return ()
    scores = _scores(points, mean, policy)
    starts, stops = _runs(scores >= policy.min_score)
    longest = max(policy.longest, int(policy.longest_share * points.n))
    whole = (starts >= policy.min_before) & (stops - starts <= longest)
    starts, stops = starts[whole], stops[whole]
    if not starts.size:
        return ()
    heights = np.maximum.reduceat(
        np.append(points.high, 0.0), np.column_stack((starts, stops)).ravel()
    )[::2]
    highest = np.sort(np.argsort(-heights, kind="stable")[: policy.most])
    calm = np.flatnonzero(scores < policy.min_score)
    spans = ((int(starts[i]), int(stops[i])) for i in highest)
    found = (_measured(points, scores, calm, span, policy) for span in spans)
    return tuple(one for one in found if one is not None)


def _scores(points: Points, mean: float, policy: ExcursionPolicy) -> Floats:
    """How far each point's largest value lies above its surroundings; 0 below the least ratio."""
    window = odd_window(points.n, policy.window_share, policy.min_window, policy.window)
    values, highs = logarithms(points.value, mean), logarithms(points.high, mean)
    level = rolling_median(values, window)
    centre = level if np.array_equal(values, highs) else rolling_median(highs, window)
    above = highs - centre
    # The medians of the ends are those of the first and the last window: off by the trend.
    edge = window // 2
    noise = np.pad(rolling_median(np.abs(above[edge:-edge]), policy.scale_window), edge, "edge")
    scores: Floats = above / np.maximum(MAD_TO_SIGMA * noise, policy.scale_floor)
    return np.where(highs - level >= math.log(policy.min_ratio), scores, 0.0)


def _runs(mask: Mask) -> tuple[Ints, Ints]:
    """Starts and stops of the runs of true entries; a gap of one entry does not part a run."""
    mask = mask.copy()
    mask[1:-1] |= mask[:-2] & mask[2:]
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2]


def _measured(
    points: Points, scores: Floats, calm: Ints, span: tuple[int, int], policy: ExcursionPolicy
) -> Excursion | None:
    """The excursion, None where it does not stand out from the calm points around it."""
    start, stop = span
    place = int(np.searchsorted(calm, start))
    before = calm[max(0, place - policy.reference_rows) : place]
    after = calm[calm >= stop][: policy.reference_rows]
    if before.size < policy.min_before:
        return None
    peak = start + int(np.argmax(points.high[start:stop]))
    found = Excursion(
        start=start,
        stop=stop,
        peak=peak,
        height=float(points.high[peak]),
        before=median(points.value[before]),
        after=median(points.value[after]),
        score=float(scores[peak]),
    )
    highest_before = float(np.max(points.high[before]))
    stands_out = found.height >= policy.above_before * highest_before
    tall = found.height >= policy.min_ratio * found.level
    return found if stands_out and tall and found.level > 0 else None
