"""Rank suggestions from an audit's JSON summary, this version's or the original's."""

from collections.abc import Mapping, Sequence

import msgspec

from gradience.core.adapter.module_names import module_type
from gradience.core.adapter.peft_layout import base_module_name
from gradience.core.errors import ConfigError
from gradience.core.numbers import real_number
from gradience.core.ranks.suggest import (
    GlobalSuggestion,
    ModuleRank,
    RankSuggestions,
    SuggestionPolicy,
    snap_up,
    suggest_per_layer,
)

MAX_KEYS_SHOWN = 8
"""Keys of a summary that a message lists."""


class _Row(msgspec.Struct, frozen=True):
    """What is needed of a layer row."""

    name: str
    r: int
    energy_rank_90: float | None = None
    stable_rank: float | None = None
    utilization: float | None = None
    params: int = 0


def suggest_per_layer_ranks(
    summary: Mapping[str, object], policy: SuggestionPolicy | None = None
) -> RankSuggestions:
    """Per-module ranks from an audit summary with ``layer_data`` (``audit --layers --json``).

    Args:
        summary: The summary.
        policy: Allowed ranks.

    Returns:
        The suggestions; their pattern keys are names that PEFT matches, whatever prefix the
        summary's rows carry.

    Raises:
        ConfigError: The summary holds no layer rows.
    """
    return suggest_per_layer([_module_rank(row) for row in _rows(summary)], policy)


def suggest_global_ranks_from_audit(
    summary: Mapping[str, object], policy: SuggestionPolicy | None = None
) -> GlobalSuggestion:
    """Uniform ranks from an audit summary's energy ranks.

    Args:
        summary: An audit summary; its layer rows, where it has them, give the present rank.
        policy: Allowed ranks.

    Returns:
        The suggestion; ranks are None where an energy rank is missing. Where the summary tells
        no present rank, ``current_r`` and the reductions are None, and nothing caps the ranks.

    Raises:
        ConfigError: The summary has neither energy ranks nor layer rows nor a present rank.
    """
    policy = policy or SuggestionPolicy()
    summary = _flat(summary)
    current = _current_rank(summary)
    median, p90 = (real_number(summary.get(f"energy_rank_90_{q}")) for q in ("p50", "p90"))
    if current is None and median is None and p90 is None:
        raise ConfigError(
            "audit summary: expected energy_rank_90_p50 and energy_rank_90_p90, layer rows or a "
            f"current_r, found {', '.join(list(summary)[:MAX_KEYS_SHOWN]) or 'nothing'}. Give the "
            "JSON of an audit (gradience audit --layers --json)."
        )
    suggested = [_snap(k, current, policy) for k in (median, p90)]
    params = summary.get("total_lora_params")
    return GlobalSuggestion(
        current_r=current,
        suggested_r_median=suggested[0],
        suggested_r_p90=suggested[1],
        suggested_r_max=None,
        total_lora_params=params if isinstance(params, int) else 0,
        reduction_ratio_median=_reduction(suggested[0], current),
        reduction_ratio_p90=_reduction(suggested[1], current),
        evidence={
            "energy_rank_90_p50": median,
            "energy_rank_90_p90": p90,
            "allowed_ranks": list(policy.allowed_ranks),
        },
    )


def _flat(summary: Mapping[str, object]) -> Mapping[str, object]:
    """The original's bench writes the summary's keys one level down, beside the rows."""
    inner = summary.get("summary")
    return {**summary, **inner} if isinstance(inner, Mapping) else summary


def _raw_rows(summary: Mapping[str, object]) -> object:
    data = summary.get("layer_data")
    return data.get("layer_rows") if isinstance(data, Mapping) else summary.get("layers")


def _rows(summary: Mapping[str, object]) -> Sequence[_Row]:
    rows = _raw_rows(summary)
    if not rows:
        raise ConfigError(
            "audit summary: expected layer_data with layer_rows, found none. Audit with --layers."
        )
    try:
        return msgspec.convert(rows, list[_Row])
    except msgspec.ValidationError as error:
        raise ConfigError(f"audit summary: layer rows do not read: {error}") from error


def _module_rank(row: _Row) -> ModuleRank:
    name = base_module_name(row.name)
    return ModuleRank(
        name=name,
        module_type=module_type(name).value,
        r=row.r,
        energy_rank_90=row.energy_rank_90,
        stable_rank=row.stable_rank,
        utilization=row.utilization,
        params=row.params,
    )


def _snap(rank: float | None, current: int | None, policy: SuggestionPolicy) -> int | None:
    """The suggestion; without a present rank None where every allowed rank is too small."""
    if rank is None:
        return None
    if current is not None:
        return snap_up(rank, current, policy)
    return min((allowed for allowed in policy.allowed_ranks if allowed >= rank), default=None)


def _reduction(suggested: int | None, current: int | None) -> float | None:
    return None if suggested is None or current is None else 1 - suggested / current


def _current_rank(summary: Mapping[str, object]) -> int | None:
    found = summary.get("global_suggestions")
    current = found.get("current_r") if isinstance(found, Mapping) else None
    current = current or summary.get("current_r")
    if isinstance(current, int) and current > 0:
        return current
    if _raw_rows(summary):
        return max(row.r for row in _rows(summary))
    return None
