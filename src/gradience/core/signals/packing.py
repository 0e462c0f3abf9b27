"""Lists of numbers as arrays, where most lists are whole.

``struct`` packs a list of numbers in half the time that NumPy takes to look at each of them; it
takes no None, and that is when each is looked at.
"""

import math
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rates = float | tuple[float, ...] | None
"""What a record gives for a number: one, one for each parameter group, or none."""


def packed_steps(values: Sequence[int | None], missing: int) -> NDArray[np.int64]:
    """Steps as int64 of shape (n,), ``missing`` in the place of None."""
    try:
        return np.frombuffer(struct.pack(f"{len(values)}q", *values), dtype=np.int64)
    except struct.error:
        return np.array([missing if step is None else step for step in values], dtype=np.int64)


def packed_floats(values: Sequence[Rates]) -> NDArray[np.float64]:
    """Numbers as float64 of shape (n,); anything else among them raises ``struct.error``."""
    return np.frombuffer(struct.pack(f"{len(values)}d", *values), dtype=np.float64)


def packed_rates(values: Sequence[Rates]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers that a record may lack.

    Args:
        values: The numbers; of a tuple the largest counts.

    Returns:
        float64 of shape (n,), NaN for what is missing, and the mask of what is not.
    """
    try:
        return packed_floats(values), np.ones(len(values), dtype=np.bool_)
    except struct.error:  # a None, or a tuple
        numbers = list(map(_largest, values))
    if numbers.count(None) == len(numbers):
        return np.full(len(numbers), np.nan), np.zeros(len(numbers), dtype=np.bool_)
    logged = np.array([number is not None for number in numbers], dtype=np.bool_)
    return np.array(numbers, dtype=np.float64), logged


def _largest(value: Rates) -> float | None:
    if isinstance(value, tuple):
        # Not max alone: whether it sees a NaN among the groups depends on their order.
        if any(math.isnan(rate) for rate in value):
            return math.nan
        return max(value) if value else None
    return value
