"""A series of numbers as one line of blocks: a pure function of the numbers and the width."""

from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.numbers import quantile
from gradience.core.signals.batch import Floats


class Alphabet(NamedTuple):
    """The characters that a line is drawn with."""

    levels: str
    """From the lowest to the highest, each one column wide."""
    above: str
    """Stands where a value lies above what the line shows."""
    below: str


BLOCKS = Alphabet("▁▂▃▄▅▆▇█", "▲", "▼")

ASCII = Alphabet("_.-~=+*#", "^", "v")
"""For encodings that have no blocks."""

GAP = " "
"""Stands where no finite value is known."""


@attrs.frozen(kw_only=True)
class SparkPolicy:
    """Which extremes are drawn to scale."""

    bulk: tuple[float, float] = (0.05, 0.95)
    """Quantiles between which the bulk of the columns lies."""
    reach: float = 3.0
    """How many heights of the bulk an extreme may lie beyond it and still be drawn to scale;
    beyond that it is cut off and marked, so that the bulk keeps two of the eight levels or more
    (inferred: below two levels a line shows nothing but its extremes)."""
    flat: float = 1e-6
    """A range below this share of the largest magnitude is drawn as flat: a constant's rounding
    (inferred: float32 keeps seven digits)."""


def alphabet_of(encoding: str) -> Alphabet:
    """The blocks where the encoding has them, else ASCII."""
    try:
        (BLOCKS.levels + BLOCKS.above + BLOCKS.below).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS


def sparkline(
    values: Floats,
    width: int,
    alphabet: Alphabet = BLOCKS,
    *,
    low: Floats | None = None,
    high: Floats | None = None,
    policy: SparkPolicy | None = None,
) -> str:
    """Draws values from left to right.

    Values that outnumber the columns share them evenly, and a column stands at their mean. An
    extreme far from the bulk is cut off: its column shows a mark, not a level.

    Args:
        values: Shape (n,); what is not finite is unknown.
        width: Columns at most; fewer values take one each.
        alphabet: What to draw with.
        low: Shape (n,): smallest value behind each of ``values``, where it stands for several.
        high: The largest.
        policy: Which extremes are drawn to scale.

    Returns:
        Text of min(n, width) columns, empty where that is none; a gap where a column knows no
        value. Values that are all the same stand in the middle.
    """
    columns = min(values.size, width)
    if columns <= 0:
        return ""
    starts = np.arange(columns) * values.size // columns
    level, lowest, highest = (
        _means(values, starts),
        np.fmin.reduceat(_finite(values if low is None else low), starts),
        np.fmax.reduceat(_finite(values if high is None else high), starts),
    )
    known = level[np.isfinite(level)]
    if not known.size:
        return GAP * columns
    policy = policy or SparkPolicy()
    scale = _limits(known, known, policy)
    seen = _limits(lowest[np.isfinite(lowest)], highest[np.isfinite(highest)], policy)
    place = _places(level, scale, len(alphabet.levels), policy.flat)
    below = (level < scale.floor) | (lowest < seen.floor)
    above = (level > scale.ceiling) | (highest > seen.ceiling)
    return "".join(
        _character(at, below=down, above=up, alphabet=alphabet)
        for at, down, up in zip(place, below.tolist(), above.tolist(), strict=True)
    )


class _Limits(NamedTuple):
    """From where on, and up to where, values are drawn to scale."""

    floor: float
    ceiling: float


def _finite(values: Floats) -> Floats:
    finite: Floats = np.where(np.isfinite(values), values, np.nan)
    return finite


def _means(values: Floats, starts: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> Floats:
    """The mean of the finite values of each group, NaN where there is none."""
    finite = np.isfinite(values)
    counts = np.add.reduceat(finite, starts, dtype=np.float64)
    # Divided first: a sum of large values would overflow.
    shares = np.repeat(np.maximum(counts, 1), np.diff(np.append(starts, values.size)))
    means: Floats = np.add.reduceat(np.where(finite, values, 0.0) / shares, starts)
    return np.where(counts > 0, means, np.nan)


def _limits(lowest: Floats, highest: Floats, policy: SparkPolicy) -> _Limits:
    """The limits of columns that reach from ``lowest`` to ``highest``, without the unknown ones."""
    low, high = policy.bulk
    bottom, top = quantile(lowest.tolist(), low) or 0.0, quantile(highest.tolist(), high) or 0.0
    floor, ceiling = float(lowest.min()), float(highest.max())
    reach = policy.reach * (top - bottom)
    if reach <= policy.flat * max(abs(bottom), abs(top)):
        return _Limits(floor, ceiling)
    return _Limits(
        floor if floor >= bottom - reach else bottom,
        ceiling if ceiling <= top + reach else top,
    )


def _places(level: Floats, limits: _Limits, levels: int, flat: float) -> list[int | None]:
    """The level of each column; None where it is unknown."""
    floor, ceiling = limits
    # Scaled first: the difference of two large numbers would overflow.
    scale = max(abs(floor), abs(ceiling)) or 1.0
    span = ceiling / scale - floor / scale
    if span <= flat:
        return [None if np.isnan(value) else levels // 2 for value in level]
    share = (np.clip(level, floor, ceiling) / scale - floor / scale) / span
    return [
        None if np.isnan(part) else int(np.clip(part * levels, 0, levels - 1)) for part in share
    ]


def _character(place: int | None, *, below: bool, above: bool, alphabet: Alphabet) -> str:
    if place is None:
        return GAP
    if above:
        return alphabet.above
    return alphabet.below if below else alphabet.levels[place]
