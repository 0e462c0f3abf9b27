"""The metrics of kind ``spectral``: the spectra of the adapter's updates while it is trained."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs

from gradience.core.spectra.gram import Floats
from gradience.core.spectra.grams import GramPolicy, spectrum_of_grams
from gradience.core.spectra.quantities import energy_rank, frobenius_norm, stable_rank
from gradience.core.spectra.reduction import Route, Spectrum

SPECTRAL_KIND = "spectral"

QUANTITIES = ("delta_sigma_max", "stable_rank", "energy_rank_90", "delta_fro_norm")
"""Of a module's update s·B·A, named as in the audit: σ₁, ‖ΔW‖_F²/σ₁², the least k that keeps 90 %
of Σσ², and ‖ΔW‖_F."""

ENERGY = 0.90

UNTRAINED, NONFINITE, UNRESOLVED = "untrained", "nonfinite", "unresolved"
"""``status`` of a module without quantities: a zero update, NaN or infinite values, or factors
that nearly cancel, which Gram matrices cannot tell."""


@attrs.frozen(kw_only=True)
class LiveSpectraPolicy:
    """How compact and how exact the record is."""

    grams: GramPolicy = GramPolicy()
    digits: int = 6
    """Significant digits that are recorded (inferred: the tolerance allows three)."""
    names_shown: int = 5
    """Modules named for each reason to skip (inferred: the number tells the rest)."""


class UpdateGrams(NamedTuple):
    """One module's update s·B·A, reduced to what its spectrum needs."""

    module: str
    gram_a: Floats
    """A·Aᵀ, (r, r)."""
    gram_b: Floats
    """Bᵀ·B, (r, r)."""
    kept: int
    """min(r, d_in, d_out)."""
    scale: float
    """PEFT's factor s."""
    single: bool = False
    """Whether the Gram matrices were computed in float32, not in float64."""
    dora: bool = False
    """Whether each output of W + ΔW is rescaled as well, which the quantities leave aside."""


def spectra_metrics(
    updates: Sequence[UpdateGrams],
    skipped: Mapping[str, Sequence[str]],
    policy: LiveSpectraPolicy | None = None,
) -> dict[str, object]:
    """The payload of one look at all updates.

    Args:
        updates: Those that were looked at.
        skipped: Modules that were not, by reason.
        policy: Digits and limits.

    Returns:
        ``modules`` (by name: ``r``, the four :data:`QUANTITIES`, or a ``status`` in their place,
        and ``dora`` where it is one), ``summary`` (``n_modules``, how many of each status, and
        mean and maximum of each quantity) and, where there are any, ``skipped`` (by reason: ``n``
        and the first ``modules``).
    """
    policy = policy or LiveSpectraPolicy()
    modules = {update.module: _module(update, policy) for update in updates}
    payload: dict[str, object] = {"modules": modules, "summary": _summary(modules, policy)}
    if skipped:
        payload["skipped"] = {
            reason: {"n": len(names), "modules": list(names[: policy.names_shown])}
            for reason, names in skipped.items()
        }
    return payload


def _module(update: UpdateGrams, policy: LiveSpectraPolicy) -> dict[str, object]:
    spectrum = spectrum_of_grams(
        update.gram_a, update.gram_b, update.kept, single=update.single, policy=policy.grams
    )
    row: dict[str, object] = {"r": len(update.gram_a)}
    if update.dora:
        row["dora"] = True
    status = _status(spectrum, update.scale)
    if spectrum is None or status is not None:
        return {**row, "status": status}
    values, size = spectrum.singular_values, abs(update.scale)
    return {
        **row,
        "delta_sigma_max": _rounded(size * float(values[0]), policy),
        "stable_rank": _rounded(stable_rank(values) or math.nan, policy),
        "energy_rank_90": energy_rank(values, ENERGY),
        "delta_fro_norm": _rounded(size * frobenius_norm(values), policy),
    }


def _status(spectrum: Spectrum | None, scale: float) -> str | None:
    """Why a module has no quantities; None where it has."""
    if spectrum is None:
        return UNRESOLVED
    if spectrum.route is Route.NONFINITE or not math.isfinite(scale):
        return NONFINITE
    if spectrum.route is Route.ZERO or scale == 0:
        return UNTRAINED
    return None


def _summary(
    modules: Mapping[str, Mapping[str, object]], policy: LiveSpectraPolicy
) -> dict[str, object]:
    summary: dict[str, object] = {"n_modules": len(modules)}
    for status in (UNTRAINED, NONFINITE, UNRESOLVED):
        count = sum(row.get("status") == status for row in modules.values())
        if count:
            summary[f"n_{status}"] = count
    for quantity in QUANTITIES:
        found = [row.get(quantity) for row in modules.values()]
        numbers = [number for number in found if isinstance(number, float | int)]
        if numbers:
            summary[f"{quantity}_mean"] = _rounded(math.fsum(numbers) / len(numbers), policy)
            summary[f"{quantity}_max"] = max(numbers)
    return summary


def _rounded(value: float, policy: LiveSpectraPolicy) -> float:
    return float(f"{value:.{policy.digits}g}")
