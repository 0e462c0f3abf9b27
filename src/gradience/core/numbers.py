"""Numbers out of untyped data, what a report says of many, and how it words a count."""

import math
from collections.abc import Iterable


def real_number(value: object) -> float | None:
    """A float, where ``value`` is an int or a float (NaN and infinities included).

    Args:
        value: Anything.

    Returns:
        The number, infinite for an integer beyond the range of floats; None for a bool, a string
        or anything else that is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 module``, ``2 modules``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def mean_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None where there is none."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def quantile(values: Iterable[float | None], q: float) -> float | None:
    """The quantile of the values that are not None, by linear interpolation between neighbours.

    NumPy's default method, without the 10 ms that its first call spends on importing ``numpy.ma``.

    Args:
        values: The values, in any order.
        q: Between 0 and 1.

    Returns:
        The quantile; None where no value is known.
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    place = q * (len(known) - 1)
    below = math.floor(place)
    above = min(below + 1, len(known) - 1)
    return known[below] + (known[above] - known[below]) * (place - below)


def nesting_depth(value: object, limit: int) -> int:
    """How many dicts and lists lie within each other, without recursion.

    Args:
        value: JSON-like data.
        limit: Counting stops just beyond it.

    Returns:
        The depth, 0 for a scalar; ``limit + 1`` for anything deeper.
    """
    level, depth = _containers([value]), 0
    while level and depth <= limit:
        level = [inner for outer in level for inner in _containers(_items(outer))]
        depth += 1
    return depth


def _containers(values: Iterable[object]) -> list[object]:
    return [value for value in values if isinstance(value, dict | list)]


def _items(container: object) -> Iterable[object]:
    if isinstance(container, dict):
        return container.values()
    return container if isinstance(container, list) else ()
