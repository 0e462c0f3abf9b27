"""The update against the base weight: UDR, its Frobenius form, SDI."""

import math
from typing import NamedTuple

SDI_EPSILON = 1e-12
"""ε of SDI = log₁₀(UDR + ε): keeps the index of a zero update finite (at -12)."""


class BaseNorms(NamedTuple):
    """Norms of one base weight W."""

    sigma_max: float
    """‖W‖₂."""
    fro: float
    """‖W‖_F."""


class UpdateRatio(NamedTuple):
    """The update relative to the base weight; None where the weight is zero."""

    udr: float | None
    """‖ΔW‖₂ / ‖W‖₂."""
    udr_f: float | None
    """‖ΔW‖_F / ‖W‖_F."""
    sdi: float | None
    """log₁₀(UDR + ε)."""


def update_ratio(delta_sigma_max: float, delta_fro: float, base: BaseNorms) -> UpdateRatio:
    """UDR, UDR_F and SDI of one module.

    Args:
        delta_sigma_max: ‖ΔW‖₂, scaled.
        delta_fro: ‖ΔW‖_F, scaled.
        base: The norms of the base weight.

    Returns:
        The ratios; None where the base weight is zero, for nothing can be said there.
    """
    udr = delta_sigma_max / base.sigma_max if base.sigma_max > 0 else None
    udr_f = delta_fro / base.fro if base.fro > 0 else None
    return UpdateRatio(udr, udr_f, None if udr is None else math.log10(udr + SDI_EPSILON))
