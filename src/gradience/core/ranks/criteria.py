"""Where each rank policy cuts a spectrum: one function per criterion, of sorted values alone."""

import math
from collections.abc import Callable, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.errors import ConfigError
from gradience.core.spectra.null_baseline import NullBaseline
from gradience.core.spectra.quantities import (
    ENERGY_ROUNDING,
    effective_rank,
    energy_rank,
    stable_rank,
)

Floats = NDArray[np.float64]

RANK_ROUNDING = 1e-9
"""Slack on a real-valued rank before it is rounded up."""

KNEE_ROUNDING = 1e-12
"""A distance below the chord that is only rounding."""

CAVEATS: Mapping[str, str] = {
    "oht": "oht: its noise model does not hold for the r non-zero values of a LoRA update",
    "null": (
        "null: counts the leading directions whose share of Σσ² exceeds that of 95 % of random "
        "updates of the same shape and rank (parallel analysis). A dominant first direction lowers "
        "the others' shares, so it may count too few; and no published result says that what is "
        "below it can be cut from a LoRA without loss"
    ),
}
"""What to keep in mind of a policy, by its name."""


@attrs.frozen(kw_only=True, eq=False)
class Cut:
    """What a criterion looks at."""

    values: Floats
    """Singular values, descending, the first above 0."""
    threshold: float = math.nan
    """The policy's threshold; NaN for a policy without one."""
    shape: tuple[int, int] = (1, 1)
    """(d_out, d_in) of the update."""
    null: NullBaseline | None = None


Criterion = Callable[[Cut], tuple[int, dict[str, object]]]
"""From a spectrum to k (0 where nothing passes) and the details for the report."""


def energy(cut: Cut) -> tuple[int, dict[str, object]]:
    """Least k with Σ_{i≤k} σᵢ² ≥ τ·Σσᵢ² (PEFT's float rank)."""
    details: dict[str, object] = {
        "threshold": cut.threshold,
        "convention": "PEFT: share of Σσ²",
    }
    return energy_rank(cut.values, cut.threshold) or 1, details


def stable(cut: Cut) -> tuple[int, dict[str, object]]:
    """Stable rank Σσ²/σ₁², rounded up."""
    rank = stable_rank(cut.values) or 1.0
    return math.ceil(rank - RANK_ROUNDING), {"stable_rank": rank}


def entropy(cut: Cut) -> tuple[int, dict[str, object]]:
    """Effective rank exp H(σ/Σσ), rounded up."""
    rank = effective_rank(cut.values) or 1.0
    return math.ceil(rank - RANK_ROUNDING), {"effective_rank": rank}


def knee(cut: Cut) -> tuple[int, dict[str, object]]:
    """The values before the point farthest below the chord from first to last (Kneedle, 2011)."""
    values = cut.values
    chord = values[0] + (values[-1] - values[0]) * np.linspace(0, 1, values.size)
    distance = (chord - values) / values[0]
    at = int(np.argmax(distance))
    if distance[at] <= KNEE_ROUNDING:
        return int(np.count_nonzero(values)), {"knee_distance": 0.0}
    return at, {"knee_distance": float(distance[at])}


def hard_threshold(cut: Cut) -> tuple[int, dict[str, object]]:
    """Values above ω(β)·median(σ) (Gavish & Donoho 2014, eq. 5; polynomial fit of ω)."""
    beta = min(cut.shape) / max(cut.shape)
    omega = 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
    threshold = omega * float(np.median(cut.values))
    details: dict[str, object] = {
        "beta": beta,
        "threshold_sigma": threshold,
        "caveat": CAVEATS["oht"],
    }
    return int(np.count_nonzero(cut.values > threshold)), details


def frobenius_share(cut: Cut) -> tuple[int, dict[str, object]]:
    """Least k with √(Σ_{i≤k} σᵢ²) ≥ t·√(Σσᵢ²) (kohya's resize, ``sv_fro``)."""
    share = cut.threshold * cut.threshold
    details: dict[str, object] = {
        "threshold": cut.threshold,
        "energy_threshold": share,
        "convention": "kohya: share t of ‖ΔW‖_F, which is t² of Σσ²",
    }
    return _reaching((cut.values / cut.values[0]) ** 2, share), details


def value_share(cut: Cut) -> tuple[int, dict[str, object]]:
    """Least k with Σ_{i≤k} σᵢ ≥ t·Σσᵢ (kohya's resize, ``sv_cumulative``)."""
    details: dict[str, object] = {
        "threshold": cut.threshold,
        "convention": "kohya: share of Σσ, not of Σσ²",
    }
    return _reaching(cut.values / cut.values[0], cut.threshold), details


def top_ratio(cut: Cut) -> tuple[int, dict[str, object]]:
    """Values above σ₁/t (kohya's resize, ``sv_ratio``)."""
    details: dict[str, object] = {
        "threshold": cut.threshold,
        "threshold_sigma": float(cut.values[0] / cut.threshold),
        "convention": "kohya: values above σ₁/t",
    }
    return int(np.count_nonzero(cut.values > cut.values[0] / cut.threshold)), details


def parallel_analysis(cut: Cut) -> tuple[int, dict[str, object]]:
    """Leading directions whose share of Σσ² exceeds the 95 % quantile of noise (Horn 1965).

    Raises:
        ConfigError: There is no null baseline, or it is of another number of directions.
    """
    if cut.null is None or len(cut.null.share_p95) != cut.values.size:
        found = "none" if cut.null is None else f"one of {len(cut.null.share_p95)} directions"
        raise ConfigError(
            f"rank policy 'null': expected the null baseline of {cut.values.size} directions, "
            f"found {found}. Pass null=, made by null_for(r, d_out, d_in) of the update's shape."
        )
    squares = (cut.values / cut.values[0]) ** 2
    above = squares / squares.sum() > np.array(cut.null.share_p95)
    leading = int(np.argmin(above)) if not above.all() else above.size
    details: dict[str, object] = {
        "above_null": leading,
        "null_draws": cut.null.n_draws,
        "convention": "share of Σσ² above the 95 % quantile of random B·A",
        "caveat": CAVEATS["null"],
    }
    return leading, details


def _reaching(amounts: Floats, share: float) -> int:
    """Least k whose first k amounts reach a share of the sum."""
    running = np.cumsum(amounts)
    return int(np.argmax(running >= (share - ENERGY_ROUNDING) * running[-1])) + 1
