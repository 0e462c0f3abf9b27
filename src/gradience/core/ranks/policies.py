"""Rank policies: named rules that read a rank off a spectrum. None of them is the truth."""

import math
import re
from collections.abc import Mapping

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.errors import ConfigError
from gradience.core.ranks import criteria
from gradience.core.ranks.criteria import CAVEATS, Criterion, Cut
from gradience.core.spectra.null_baseline import NullBaseline
from gradience.core.spectra.quantities import energy_kept

__all__ = [
    "CAVEATS",
    "DEFAULT_ENERGY",
    "DEFAULT_POLICIES",
    "RankPolicySpec",
    "RankSuggestion",
    "apply_rank_policy",
    "needs_null",
    "parse_rank_policy",
]

Floats = NDArray[np.float64]

DEFAULT_ENERGY = 0.90
"""τ of ``energy`` where the specification gives none."""

DEFAULT_POLICIES = ("energy@0.90", "stable_rank", "erank", "knee", "oht", "null")
"""What ``--rank-policies all`` stands for."""


class RankPolicySpec(msgspec.Struct, frozen=True, kw_only=True):
    """A rank policy by name, with its parameter where it has one."""

    name: str
    """One of ``energy``, ``stable_rank``, ``erank``, ``knee``, ``oht``, ``null``, ``sv_fro``,
    ``sv_cumulative`` and ``sv_ratio``."""
    threshold: float | None = None
    """τ of ``energy`` (the share of Σσ² to keep, PEFT's convention), t of kohya's three."""

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


@attrs.frozen
class _Bounds:
    """The thresholds that a policy takes."""

    above: float
    at_most: float
    default: float | None = None

    @property
    def text(self) -> str:
        upper = f" and at most {self.at_most:g}" if math.isfinite(self.at_most) else ""
        return f"a threshold above {self.above:g}{upper}"

    def hold(self, threshold: float) -> bool:
        return self.above < threshold <= self.at_most and math.isfinite(threshold)


@attrs.frozen
class _Policy:
    criterion: Criterion
    bounds: _Bounds | None = None
    """None for a policy without a threshold."""


_POLICIES: Mapping[str, _Policy] = {
    "energy": _Policy(criteria.energy, _Bounds(0.0, 1.0, DEFAULT_ENERGY)),
    "stable_rank": _Policy(criteria.stable),
    "erank": _Policy(criteria.entropy),
    "knee": _Policy(criteria.knee),
    "oht": _Policy(criteria.hard_threshold),
    "null": _Policy(criteria.parallel_analysis),
    "sv_fro": _Policy(criteria.frobenius_share, _Bounds(0.0, 1.0)),
    "sv_cumulative": _Policy(criteria.value_share, _Bounds(0.0, 1.0)),
    "sv_ratio": _Policy(criteria.top_ratio, _Bounds(1.0, math.inf)),
}


def parse_rank_policy(text: str) -> RankPolicySpec:
    """Reads a policy written as ``energy@0.95``, ``knee``, ``sv_ratio@10`` and so on.

    Raises:
        ConfigError: The name is unknown, or the threshold is missing, out of bounds or one too
            many.
    """
    match = re.fullmatch(r"\s*(?P<name>[a-z_]+)(?:@(?P<threshold>[0-9.]+))?\s*", text)
    if match is None or match["name"] not in _POLICIES:
        raise _unknown_policy(text)
    name, given = match["name"], match["threshold"]
    bounds = _POLICIES[name].bounds
    if bounds is None:
        if given:
            raise ConfigError(f"rank policy {text!r}: expected no threshold, {name} has none")
        return RankPolicySpec(name=name)
    try:
        threshold = bounds.default if given is None else float(given)
    except ValueError:
        threshold = math.nan
    return RankPolicySpec(name=name, threshold=_checked(text, bounds, threshold))


def apply_rank_policy(
    spec: RankPolicySpec | str,
    singular_values: Floats,
    shape: tuple[int, int] | None = None,
    null: NullBaseline | None = None,
) -> RankSuggestion | None:
    """The rank that a policy reads off a spectrum.

    Args:
        spec: The policy, or its text.
        singular_values: float64 of shape (n,), non-negative; any positive scale.
        shape: (d_out, d_in) of the update, needed by ``oht``; square where not given.
        null: The null baseline of the update's shape and rank, needed by ``null`` alone
            (:func:`needs_null`).

    Returns:
        A rank between 1 and n, or None for a zero update (nothing to keep).

    Raises:
        ConfigError: The policy's text does not parse, its name is unknown, its threshold is out
            of bounds, or ``null`` is applied without a baseline of n directions.
    """
    if isinstance(spec, str):
        spec = parse_rank_policy(spec)
    elif spec.name not in _POLICIES:
        raise _unknown_policy(spec.name)
    values = np.sort(np.asarray(singular_values, dtype=np.float64))[::-1]
    if not values.size or values[0] <= 0:
        return None
    policy = _POLICIES[spec.name]
    threshold = math.nan
    if policy.bounds is not None:
        given = policy.bounds.default if spec.threshold is None else spec.threshold
        threshold = _checked(spec.label, policy.bounds, given)
    cut = Cut(values=values, threshold=threshold, shape=shape or (1, 1), null=null)
    k, details = policy.criterion(cut)
    k = min(max(k, 1), values.size)
    kept = energy_kept(values, k)
    return RankSuggestion(
        k=k, confidence=_separation(values, k), details={**details, "energy_kept": kept}
    )


def needs_null(spec: RankPolicySpec) -> bool:
    """Whether a policy compares with the null baseline, which costs drawing it."""
    return _POLICIES[spec.name].criterion is criteria.parallel_analysis


def _checked(text: str, bounds: _Bounds, threshold: float | None) -> float:
    if threshold is None or not bounds.hold(threshold):
        found = "none" if threshold is None else f"{threshold:g}"
        raise ConfigError(f"rank policy {text!r}: expected {bounds.text}, found {found}")
    return threshold


def _unknown_policy(text: str) -> ConfigError:
    return ConfigError(
        f"rank policy {text!r}: expected one of {', '.join(sorted(_POLICIES))}, those with a "
        "threshold as in energy@0.90, or a budget over all modules as in budget@0.5. Separate "
        "several with commas."
    )


def _separation(values: Floats, k: int) -> float:
    below = values[k] if k < values.size else 0.0
    return float((values[k - 1] - below) / values[k - 1]) if values[k - 1] > 0 else 0.0
