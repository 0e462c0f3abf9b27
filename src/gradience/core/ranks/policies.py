"""Rank policies: named rules that read a rank off a spectrum. None of them is the truth."""

import math
import re
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.errors import ConfigError
from gradience.core.spectra.quantities import (
    effective_rank,
    energy_kept,
    energy_rank,
    stable_rank,
)

Floats = NDArray[np.float64]

DEFAULT_ENERGY = 0.90
"""τ of ``energy`` where the specification gives none."""

CAVEATS: Mapping[str, str] = {
    "oht": "oht: its noise model does not hold for the r non-zero values of a LoRA update",
}
"""What to keep in mind of a policy, by its name."""

RANK_ROUNDING = 1e-9
"""Slack on a real-valued rank before it is rounded up."""

KNEE_ROUNDING = 1e-12
"""A distance below the chord that is only rounding."""

DEFAULT_POLICIES = ("energy@0.90", "stable_rank", "erank", "knee", "oht")
"""What ``--rank-policies all`` stands for."""


class RankPolicySpec(msgspec.Struct, frozen=True, kw_only=True):
    """A rank policy by name, with its parameter where it has one."""

    name: str
    """One of ``energy``, ``stable_rank``, ``erank``, ``knee`` and ``oht``."""
    threshold: float | None = None
    """τ of ``energy``: the share of Σσ² to keep (PEFT's convention)."""

    @property
    def label(self) -> str:
        """The specification as text, such as ``energy@0.90``; different ones differ."""
        if self.threshold is None:
            return self.name
        rounded = f"{self.threshold:.2f}"
        return f"{self.name}@{rounded if float(rounded) == self.threshold else self.threshold}"


class RankSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A rank, and how clearly the spectrum separates there.

    ``confidence`` is (σ_k - σ_{k+1}) / σ_k, between 0 (the cut falls between equal values) and 1
    (nothing is left behind it). It is a property of the spectrum, not a probability.
    """

    k: int
    confidence: float
    details: Mapping[str, object] = {}


def parse_rank_policy(text: str) -> RankPolicySpec:
    """Reads a policy written as ``energy@0.95``, ``knee``, ``erank`` and so on.

    Raises:
        ConfigError: The name is unknown or the threshold is no number in (0, 1].
    """
    match = re.fullmatch(r"\s*(?P<name>[a-z_]+)(?:@(?P<threshold>[0-9.]+))?\s*", text)
    name = match["name"] if match else text
    if match is None or name not in _POLICIES:
        raise _unknown_policy(text)
    if name != "energy":
        if match["threshold"]:
            raise ConfigError(f"rank policy {text!r}: expected no threshold, only energy has one")
        return RankPolicySpec(name=name)
    try:
        threshold = float(match["threshold"] or DEFAULT_ENERGY)
    except ValueError:
        threshold = math.nan
    if not 0 < threshold <= 1:
        raise ConfigError(f"rank policy {text!r}: expected a threshold above 0 and at most 1")
    return RankPolicySpec(name=name, threshold=threshold)


def apply_rank_policy(
    spec: RankPolicySpec | str, singular_values: Floats, shape: tuple[int, int] | None = None
) -> RankSuggestion | None:
    """The rank that a policy reads off a spectrum.

    Args:
        spec: The policy, or its text.
        singular_values: float64 of shape (n,), non-negative; any positive scale.
        shape: (d_out, d_in) of the update, needed by ``oht``; square where not given.

    Returns:
        A rank between 1 and n, or None for a zero update (nothing to keep).

    Raises:
        ConfigError: The policy's text does not parse, or its name is unknown.
    """
    if isinstance(spec, str):
        spec = parse_rank_policy(spec)
    elif spec.name not in _POLICIES:
        raise _unknown_policy(spec.name)
    values = np.sort(np.asarray(singular_values, dtype=np.float64))[::-1]
    if not values.size or values[0] <= 0:
        return None
    k, details = _POLICIES[spec.name](values, spec, shape or (1, 1))
    k = min(max(k, 1), values.size)
    kept = energy_kept(values, k)
    return RankSuggestion(
        k=k, confidence=_separation(values, k), details={**details, "energy_kept": kept}
    )


def _unknown_policy(text: str) -> ConfigError:
    return ConfigError(
        f"rank policy {text!r}: expected one of {', '.join(sorted(_POLICIES))}, energy with a "
        "threshold as in energy@0.90. Separate several with commas."
    )


def _separation(values: Floats, k: int) -> float:
    below = values[k] if k < values.size else 0.0
    return float((values[k - 1] - below) / values[k - 1]) if values[k - 1] > 0 else 0.0


_Result = tuple[int, dict[str, object]]


def _energy(values: Floats, spec: RankPolicySpec, _: tuple[int, int]) -> _Result:
    threshold = DEFAULT_ENERGY if spec.threshold is None else spec.threshold
    details: dict[str, object] = {"threshold": threshold, "convention": "PEFT: share of Σσ²"}
    return energy_rank(values, threshold) or 1, details


def _stable(values: Floats, _: RankPolicySpec, __: tuple[int, int]) -> _Result:
    rank = stable_rank(values) or 1.0
    return math.ceil(rank - RANK_ROUNDING), {"stable_rank": rank}


def _erank(values: Floats, _: RankPolicySpec, __: tuple[int, int]) -> _Result:
    rank = effective_rank(values) or 1.0
    return math.ceil(rank - RANK_ROUNDING), {"effective_rank": rank}


def _knee(values: Floats, _: RankPolicySpec, __: tuple[int, int]) -> _Result:
    """The values before the point farthest below the chord from first to last (Kneedle, 2011)."""
    n = values.size
    chord = values[0] + (values[-1] - values[0]) * np.linspace(0, 1, n)
    distance = (chord - values) / values[0]
    at = int(np.argmax(distance))
    if distance[at] <= KNEE_ROUNDING:
        return int(np.count_nonzero(values)), {"knee_distance": 0.0}
    return at, {"knee_distance": float(distance[at])}


def _oht(values: Floats, _: RankPolicySpec, shape: tuple[int, int]) -> _Result:
    """Values above ω(β)·median(σ) (Gavish & Donoho 2014, eq. 5; polynomial fit of ω)."""
    beta = min(shape) / max(shape)
    omega = 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
    threshold = omega * float(np.median(values))
    details: dict[str, object] = {
        "beta": beta,
        "threshold_sigma": threshold,
        "caveat": CAVEATS["oht"],
    }
    return int(np.count_nonzero(values > threshold)), details


_POLICIES: Mapping[str, Callable[[Floats, RankPolicySpec, tuple[int, int]], _Result]] = {
    "energy": _energy,
    "stable_rank": _stable,
    "erank": _erank,
    "knee": _knee,
    "oht": _oht,
}
