"""The norms of one base weight."""

import math

import numpy as np
from numpy.typing import NDArray

from gradience.core.dominance.ratios import BaseNorms
from gradience.core.dominance.spectral_norm import LanczosPolicy, spectral_norm

BLOCK_ELEMENTS = 2**18
"""Entries widened to float64 at a time: 2 MiB, twice a core's second-level cache, which was the
fastest of 2¹³ to 2²² measured."""


def weight_norms(
    weight: NDArray[np.float32],
    start: NDArray[np.float64],
    name: str,
    policy: LanczosPolicy | None = None,
) -> BaseNorms | str:
    """‖W‖₂ and ‖W‖_F of a base weight, or why there are none.

    Args:
        weight: W, shape (m, n), float32; not mutated.
        start: A random start vector of shape (n,) for the spectral norm; the caller draws it.
        name: The tensor, for the reason.
        policy: When the iteration stops.

    Returns:
        The norms, 0 for an empty or zero weight; a reason where W is not finite or ‖W‖₂ did not
        settle.
    """
    fro = frobenius_norm(weight)
    if not math.isfinite(fro):
        return f"{name} holds NaN or infinite values"
    norm = spectral_norm(weight, start, policy)
    if not norm.converged:
        return f"the spectral norm of {name} did not settle in {norm.iterations} iterations"
    return BaseNorms(norm.value, fro)


def frobenius_norm(weight: NDArray[np.float32]) -> float:
    """√(Σw²), squared and summed in float64, which no float32 overflows.

    Args:
        weight: W, any shape; read in the order that it lies in memory; not mutated.

    Returns:
        The norm; 0 for an empty weight, inf or NaN where an entry is not finite and only there.
    """
    entries = weight.ravel(order="K")
    wide = np.empty(min(entries.size, BLOCK_ELEMENTS))
    squares = 0.0
    for begin in range(0, entries.size, BLOCK_ELEMENTS):
        block = wide[: entries.size - begin]
        block[:] = entries[begin : begin + BLOCK_ELEMENTS]
        squares += float(np.vdot(block, block))
    return math.sqrt(squares)
