"""Per-layer ranks beside uniform ones: what each costs, keeps and reserves."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs
import msgspec
import numpy as np

from gradience.core.errors import ConfigError
from gradience.core.numbers import quantile
from gradience.core.ranks.energy_table import EnergyTable, Ints, ModuleSpectrum, energy_table
from gradience.core.ranks.suggest import SuggestionPolicy, snap_up

PlanName = Literal["per_layer", "uniform_median", "uniform_p90", "uniform_max"]


@attrs.frozen(kw_only=True)
class PlanPolicy:
    """How ranks become plans."""

    suggestion: SuggestionPolicy = SuggestionPolicy()
    """Allowed ranks, and the quantile of ``uniform_p90``."""
    outlier_fraction: float = 0.1
    """Modules that need the largest rank are outliers where they are fewer than this fraction
    (a tenth: what ``uniform_p90`` leaves uncovered)."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Ranks for all modules, and what they come to."""

    name: PlanName
    max_rank: int
    """What a server reserves memory for in every module, whatever the others have (vLLM's
    ``max_lora_rank``)."""
    params: int
    params_ratio: float
    """Parameters / present parameters."""
    energy_kept: float
    """Share of Σσ² over all modules."""
    relative_error: float
    """√(1 - ``energy_kept``): ‖ΔW - ΔW_k‖_F / ‖ΔW‖_F over all modules."""


class RankPlans(msgspec.Struct, frozen=True, kw_only=True):
    """The plans side by side."""

    plans: tuple[Plan, ...]
    outliers: tuple[str, ...] = ()
    """Modules that alone decide the largest rank."""
    max_rank_without_outliers: int | None = None
    """The largest rank of the others; None without outliers."""
    note: str = ""


def rank_plans(
    modules: Sequence[ModuleSpectrum],
    wanted: Mapping[str, float],
    policy: PlanPolicy | None = None,
) -> RankPlans:
    """Sets a per-layer plan beside the uniform ones.

    The uniform ranks are the median, the 90 % quantile and the maximum of ``wanted``, snapped up
    as :func:`gradience.core.ranks.suggest.suggest_global` does; a module whose present rank is
    lower keeps that.

    Args:
        modules: The modules with their singular values.
        wanted: Module → the rank that a policy asks for, before snapping (energy ranks, say).
        policy: Allowed ranks and what makes an outlier.

    Returns:
        The plans, none where no module has an update; modules without one are left out.

    Raises:
        ConfigError: A module with an update has no wanted rank, or its values are not finite.
    """
    policy = policy or PlanPolicy()
    table = energy_table(modules)
    missing = [name for name in table.names if name not in wanted]
    if missing:
        raise ConfigError(f"module {missing[0]}: expected a wanted rank, found none")
    if not table.names:
        return RankPlans(plans=(), note="no module has an update")
    asked = [wanted[name] for name in table.names]
    current = int(table.ranks.max())
    uniform: dict[PlanName, float] = {
        "uniform_median": quantile(asked, 0.5) or 0.0,
        "uniform_p90": quantile(asked, policy.suggestion.quantile) or 0.0,
        "uniform_max": max(asked),
    }
    per_layer = np.array(
        [
            snap_up(rank, present, policy.suggestion)
            for rank, present in zip(asked, table.ranks.tolist(), strict=True)
        ],
        dtype=np.int64,
    )
    plans = [_plan("per_layer", table, per_layer)]
    for name, rank in uniform.items():
        everywhere = np.minimum(snap_up(rank, current, policy.suggestion), table.ranks)
        plans.append(_plan(name, table, everywhere))
    return _with_outliers(RankPlans(plans=tuple(plans)), table, per_layer, policy)


def _plan(name: PlanName, table: EnergyTable, ranks: Ints) -> Plan:
    discarded, params = table.discarded(ranks), table.params(ranks)
    return Plan(
        name=name,
        max_rank=int(ranks.max()),
        params=params,
        params_ratio=params / table.present_params,
        energy_kept=1.0 - discarded,
        relative_error=math.sqrt(discarded),
    )


def _with_outliers(
    found: RankPlans, table: EnergyTable, ranks: Ints, policy: PlanPolicy
) -> RankPlans:
    at_most = ranks == ranks.max()
    count = int(np.count_nonzero(at_most))
    if count >= policy.outlier_fraction * ranks.size:
        return found
    names = tuple(name for name, out in zip(table.names, at_most.tolist(), strict=True) if out)
    others = int(ranks[~at_most].max())
    return msgspec.structs.replace(
        found,
        outliers=names,
        max_rank_without_outliers=others,
        note=(
            f"{count} of {ranks.size} modules alone need rank {int(ranks.max())}, the others at "
            f"most {others}: a server reserves the largest rank in every module"
        ),
    )
