"""Suggested ranks: energy ranks snapped up to ranks that people use. Hypotheses, not verdicts."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs
import msgspec

from gradience.core.numbers import quantile

PATTERN_SPECIAL = re.compile(r"[^A-Za-z0-9_.\-]")
"""Characters of a module name that mean something else in a regular expression."""


@attrs.frozen(kw_only=True)
class SuggestionPolicy:
    """How an energy rank becomes a suggested rank."""

    allowed_ranks: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Ranks that are suggested, ascending (source: the contract; extend it for larger adapters)."""
    quantile: float = 0.9
    """Quantile over modules that a uniform rank must cover."""


class ModuleRank(msgspec.Struct, frozen=True, kw_only=True):
    """What a suggestion needs to know of one audited module."""

    name: str
    module_type: str
    r: int
    energy_rank_90: float | None
    """None for an untrained module, which gets no suggestion."""
    stable_rank: float | None = None
    utilization: float | None = None
    params: int = 0


class LayerSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """The suggestion for one module."""

    name: str
    module_type: str
    current_r: int
    energy_rank_90: float | None
    stable_rank: float | None
    utilization: float | None
    suggested_r: int | None
    reduction_ratio: float | None
    """1 - suggested / current."""


class RankSuggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Per-module ranks in the form that ``peft.LoraConfig(r=default_r, rank_pattern=…)`` takes."""

    default_r: int | None
    rank_pattern: Mapping[str, int]
    by_module_type_p90: Mapping[str, int]
    layers: tuple[LayerSuggestion, ...]
    notes: str


class GlobalSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One rank for all modules: the median module's and the one that covers 90 % of them."""

    current_r: int | None
    suggested_r_median: int | None
    suggested_r_p90: int | None
    suggested_r_max: int | None
    """The largest over the modules: what a server reserves memory for."""
    total_lora_params: int
    reduction_ratio_median: float | None
    reduction_ratio_p90: float | None
    evidence: Mapping[str, object]


def snap_up(rank: float, current: int, policy: SuggestionPolicy) -> int:
    """The least allowed rank at or above ``rank``, but never more than the present one.

    Above the largest allowed rank the present rank is kept.
    """
    for allowed in sorted(policy.allowed_ranks):
        if allowed >= rank:
            return min(allowed, current)
    return current


def suggest_per_layer(
    modules: Sequence[ModuleRank], policy: SuggestionPolicy | None = None
) -> RankSuggestions:
    """A rank per module from its energy rank k@90 %.

    Args:
        modules: The audited modules.
        policy: Allowed ranks.

    Returns:
        ``default_r`` is the most common suggestion (the larger on a tie) and ``rank_pattern``
        lists the modules that differ from it; both None / empty where no module was trained.
    """
    policy = policy or SuggestionPolicy()
    layers = tuple(_layer_suggestion(module, policy) for module in modules)
    ranks = {layer.name: layer.suggested_r for layer in layers if layer.suggested_r is not None}
    skipped = len(layers) - len(ranks)
    notes = f"ok (rows={len(layers)}, used={len(ranks)}, skipped={skipped})"
    if skipped:
        notes += "; skipped modules have no spectrum (untrained or non-finite) and get default_r"
    if not ranks:
        return RankSuggestions(
            default_r=None, rank_pattern={}, by_module_type_p90={}, layers=layers, notes=notes
        )
    default = common_rank(ranks.values())
    differing = {name: rank for name, rank in ranks.items() if rank != default}
    return RankSuggestions(
        default_r=default,
        rank_pattern=pattern_for(differing, [module.name for module in modules]),
        by_module_type_p90=_by_type(modules, policy),
        layers=layers,
        notes=notes,
    )


def suggest_global(
    modules: Sequence[ModuleRank],
    policy: SuggestionPolicy | None = None,
    evidence: Mapping[str, object] | None = None,
) -> GlobalSuggestion:
    """Uniform ranks from the distribution of energy ranks over the modules.

    Args:
        modules: The audited modules.
        policy: Allowed ranks and the quantile to cover.
        evidence: Put into the suggestion as it is.

    Returns:
        The suggestion; ranks are None where no module was trained.
    """
    policy = policy or SuggestionPolicy()
    ranks = [m.energy_rank_90 for m in modules if m.energy_rank_90 is not None]
    current = max((module.r for module in modules), default=None)
    params = sum(module.params for module in modules)
    median = p90 = largest = None
    if ranks and current is not None:
        median = snap_up(quantile(ranks, 0.5) or 0.0, current, policy)
        p90 = snap_up(quantile(ranks, policy.quantile) or 0.0, current, policy)
        largest = snap_up(max(ranks), current, policy)
    return GlobalSuggestion(
        current_r=current,
        suggested_r_median=median,
        suggested_r_p90=p90,
        suggested_r_max=largest,
        total_lora_params=params,
        reduction_ratio_median=_reduction(median, current),
        reduction_ratio_p90=_reduction(p90, current),
        evidence={**(evidence or {}), "allowed_ranks": list(policy.allowed_ranks)},
    )


def common_rank(ranks: Iterable[int]) -> int | None:
    """The most common rank, the larger on a tie: the ``r`` of a LoraConfig with a rank_pattern."""
    counts = Counter(ranks)
    return max(counts.items(), key=lambda item: (item[1], item[0]))[0] if counts else None


def pattern_for(ranks: Mapping[str, int], modules: Iterable[str]) -> dict[str, int]:
    """A ``rank_pattern`` whose keys PEFT matches to one module each.

    PEFT matches a key as a regular expression against the end of a module's name, from a dot on.
    A full name is therefore enough, unless it is also the ending of another module's name: then
    it is anchored with ``^``. Its dots, which match any character, are escaped where another name
    has another character there (``a.b.proj`` beside ``a.b_proj``).

    Args:
        ranks: Module name → rank.
        modules: The names of all modules that PEFT will match against.

    Returns:
        Pattern key → rank.
    """
    endings = Counter(
        ".".join(parts[start:])
        for parts in (name.split(".") for name in set(modules))
        for start in range(len(parts))
    )
    dotted = _matched_by_dots(ranks, endings)
    return {
        _pattern_key(name, endings[name], escape=name in dotted): rank
        for name, rank in ranks.items()
    }


def _pattern_key(name: str, occurrences: int, *, escape: bool) -> str:
    key = re.escape(name) if escape or PATTERN_SPECIAL.search(name) else name
    return f"^{key}" if occurrences > 1 else key


def _matched_by_dots(names: Iterable[str], endings: Iterable[str]) -> set[str]:
    """The names whose dots, each standing for any character, match a further ending."""
    by_length: dict[int, list[str]] = {}
    for ending in endings:
        by_length.setdefault(len(ending), []).append(ending)
    masked: dict[tuple[int, ...], Counter[str]] = {}
    found = set()
    for name in names:
        dots = tuple(place for place, letter in enumerate(name) if letter == ".")
        key = (len(name), *dots)
        if key not in masked:
            masked[key] = Counter(_masked(ending, dots) for ending in by_length.get(len(name), ()))
        if masked[key][name] > 1:
            found.add(name)
    return found


def _masked(text: str, places: Iterable[int]) -> str:
    for place in places:
        text = f"{text[:place]}.{text[place + 1 :]}"
    return text


def _layer_suggestion(module: ModuleRank, policy: SuggestionPolicy) -> LayerSuggestion:
    rank = module.energy_rank_90
    suggested = None if rank is None else snap_up(rank, module.r, policy)
    return LayerSuggestion(
        name=module.name,
        module_type=module.module_type,
        current_r=module.r,
        energy_rank_90=rank,
        stable_rank=module.stable_rank,
        utilization=module.utilization,
        suggested_r=suggested,
        reduction_ratio=_reduction(suggested, module.r),
    )


def _by_type(modules: Sequence[ModuleRank], policy: SuggestionPolicy) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind in sorted({module.module_type for module in modules}):
        group = [m for m in modules if m.module_type == kind and m.energy_rank_90 is not None]
        ranks = [float(module.energy_rank_90 or 0) for module in group]
        if ranks:
            current = max(module.r for module in group)
            found[kind] = snap_up(quantile(ranks, policy.quantile) or 0.0, current, policy)
    return found


def _reduction(suggested: int | None, current: int | None) -> float | None:
    if suggested is None or not current:
        return None
    return 1 - suggested / current
