"""Running sums that do not depend on how a stream was cut."""

import numpy as np

from gradience.core.signals.batch import Floats


def running_sum(total: float, values: Floats) -> float:
    """``total`` plus the values, added strictly from left to right.

    ``np.sum`` adds pairwise, so its rounding depends on where a stream is cut; ``cumsum`` adds
    in order and does not.

    Args:
        total: The sum so far.
        values: float64 of shape (n,); may be empty.

    Returns:
        The new sum.
    """
    if not values.size:
        return total
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.cumsum(np.concatenate(([total], values)))[-1])
