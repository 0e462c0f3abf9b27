"""What singular values say of an update: every function here is of the values alone.

All take float64 singular values of shape (n,), sorted or not, non-negative and finite, and give
None for an update that is exactly zero (or has no values): a zero matrix has no direction, so
its stable rank, effective rank and energy ranks are undefined. Relative quantities are computed
from σ/σ₁, so that neither tiny nor huge updates lose them to underflow or overflow.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ENERGY_ROUNDING = 1e-12
"""Slack on an energy threshold, for the rounding of sums of equal shares."""


def stable_rank(singular_values: Floats) -> float | None:
    """‖ΔW‖_F² / σ₁² (Rudelson & Vershynin 2007); between 1 and the rank."""
    relative = _relative(singular_values)
    return None if relative is None else float(np.sum(relative**2))


def effective_rank(singular_values: Floats) -> float | None:
    """exp(H(p)) with pᵢ = σᵢ / Σσ (Roy & Vetterli 2007, eq. 5); between 1 and the rank.

    Some code takes pᵢ from σᵢ², which is another number.
    """
    relative = _relative(singular_values)
    if relative is None:
        return None
    shares = relative / np.sum(relative)
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def energy_rank(singular_values: Floats, threshold: float) -> int | None:
    """k@τ: the least k with Σ_{i≤k} σᵢ² ≥ τ·Σσᵢ² (PEFT's convention for a float rank).

    Args:
        singular_values: The values.
        threshold: τ, above 0 and at most 1.

    Returns:
        The rank; None for a zero update.

    Raises:
        ValueError: ``threshold`` is outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"expected an energy threshold in (0, 1], found {threshold}")
    relative = _relative(singular_values)
    if relative is None:
        return None
    energy = np.cumsum(np.sort(relative)[::-1] ** 2)
    reached = energy >= (threshold - ENERGY_ROUNDING) * energy[-1]
    return int(np.argmax(reached)) + 1


def energy_kept(singular_values: Floats, k: int) -> float | None:
    """Share of Σσ² in the k largest values; 1 for k at or beyond their number."""
    relative = _relative(singular_values)
    if relative is None:
        return None
    squares = np.sort(relative)[::-1] ** 2
    return float(np.sum(squares[:k]) / np.sum(squares))


def frobenius_norm(singular_values: Floats) -> float:
    """√(Σσ²), 0 for no values."""
    relative = _relative(singular_values)
    if relative is None:
        return 0.0
    return float(np.max(singular_values)) * math.sqrt(float(np.sum(relative**2)))


def _relative(singular_values: Floats) -> Floats | None:
    """σ/σ₁, or None where all are zero."""
    top = float(np.max(singular_values, initial=0.0))
    if top == 0.0:
        return None
    relative: Floats = singular_values / top
    return relative
