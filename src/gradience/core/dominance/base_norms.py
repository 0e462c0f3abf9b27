"""The norms of one base weight, and why a stored tensor may not be one."""

import numpy as np
from numpy.typing import NDArray

from gradience.core.dominance.ratios import BaseNorms
from gradience.core.dominance.spectral_norm import LanczosPolicy, spectral_norm

READABLE_DTYPES = frozenset({"F64", "F32", "F16", "BF16"})
"""Types of a base weight that are numbers as they stand; others need their scales."""


def weight_problem(
    name: str, dtype: str, stored: tuple[int, ...], update: tuple[int, int]
) -> str | None:
    """Why a stored tensor cannot be the weight of an update, from its header alone.

    Args:
        name: The tensor.
        dtype: safetensors' name of its type.
        stored: Its shape.
        update: (d_out, d_in) of the update; the weight may be stored transposed (Conv1D).

    Returns:
        The reason, or None.
    """
    if dtype not in READABLE_DTYPES:
        return f"{name} is stored as {dtype}, which is not dequantised yet"
    if stored not in (update, update[::-1]):
        return f"{name} has shape {stored}, the update {update}"
    return None


def weight_norms(
    weight: NDArray[np.float32],
    start: NDArray[np.float64],
    name: str,
    policy: LanczosPolicy | None = None,
) -> BaseNorms | str:
    """‖W‖₂ and ‖W‖_F of a base weight, or why there are none.

    Args:
        weight: W, shape (m, n); not mutated.
        start: A random start vector of shape (n,) for the spectral norm; the caller draws it.
        name: The tensor, for the reason.
        policy: When the iteration stops.

    Returns:
        The norms, ‖W‖_F summed in float64; a reason where W is not finite or ‖W‖₂ did not settle.
    """
    if not np.isfinite(weight).all():
        return f"{name} holds NaN or infinite values"
    norm = spectral_norm(weight, start, policy)
    if not norm.converged:
        return f"the spectral norm of {name} did not settle in {norm.iterations} iterations"
    squares = sum(float(np.sum(np.square(row, dtype=np.float64))) for row in weight)
    return BaseNorms(norm.value, float(np.sqrt(squares)))
