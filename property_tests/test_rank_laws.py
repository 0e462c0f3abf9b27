"""Laws of rank policies, suggestions and the patterns made of them."""

import re
from collections import Counter

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.scaling import module_scaling
from gradience.core.ranks.policies import DEFAULT_POLICIES, apply_rank_policy
from gradience.core.ranks.suggest import (
    ModuleRank,
    SuggestionPolicy,
    pattern_for,
    snap_up,
    suggest_global,
    suggest_per_layer,
)
from property_tests.factors import MAGNITUDES, Floats, spectra

RANKS = st.integers(1, 300)
POLICIES = st.builds(
    SuggestionPolicy,
    allowed_ranks=st.lists(RANKS, min_size=1, max_size=8, unique=True).map(tuple),
)
PARTS = st.sampled_from(["q", "xq", "layers", "0", "1", "10", "a.b", "w+1", "m[2]", "(x", "q|v"])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(".".join)


def _module(name: str, rank: int | None, r: int) -> ModuleRank:
    return ModuleRank(name=name, module_type="attn", r=r, energy_rank_90=rank, params=r)


@st.composite
def _modules(draw: st.DrawFn) -> list[ModuleRank]:
    names = draw(st.lists(NAMES, min_size=1, max_size=10, unique=True))
    r = draw(RANKS)
    ranks = st.one_of(st.none(), st.integers(1, r))
    return [_module(name, draw(ranks), r) for name in names]


def _peft_matches(key: str, module: str) -> bool:
    return re.match(rf"(.*\.)?({key})$", module) is not None


@given(st.floats(1, 400), RANKS, POLICIES)
def test_snapping_stays_between_the_rank_and_the_present_one(
    rank: float, current: int, policy: SuggestionPolicy
) -> None:
    found = snap_up(rank, current, policy)
    assert found <= current
    assert found >= min(rank, current)
    assert found == current or found in policy.allowed_ranks


@given(st.floats(1, 400), st.floats(1, 400), RANKS, POLICIES)
def test_snapping_is_monotone(
    one: float, two: float, current: int, policy: SuggestionPolicy
) -> None:
    low, high = sorted([one, two])
    assert snap_up(low, current, policy) <= snap_up(high, current, policy)


@given(st.lists(NAMES, min_size=1, max_size=10, unique=True))
def test_a_pattern_key_matches_one_module_by_pefts_rule(names: list[str]) -> None:
    pattern = pattern_for({name: rank for rank, name in enumerate(names, 1)}, names)
    assert len(pattern) == len(names)
    for key, rank in pattern.items():
        assert [name for name in names if _peft_matches(key, name)] == [names[rank - 1]]


@given(_modules())
def test_peft_gives_each_module_the_suggested_rank(modules: list[ModuleRank]) -> None:
    found = suggest_per_layer(modules)
    assume(found.default_r is not None)
    raw = {"peft_type": "LORA", "r": found.default_r, "rank_pattern": dict(found.rank_pattern)}
    config = peft_lora_config(raw, "config")
    for layer in found.layers:
        expected = layer.suggested_r or found.default_r
        assert module_scaling(config, layer.name).r == expected


@given(_modules(), POLICIES)
def test_suggestions_never_exceed_the_present_rank(
    modules: list[ModuleRank], policy: SuggestionPolicy
) -> None:
    for layer in suggest_per_layer(modules, policy).layers:
        trained = layer.energy_rank_90 is not None
        assert (layer.suggested_r is not None) == trained
        assert layer.suggested_r is None or (
            (layer.energy_rank_90 or 0) <= layer.suggested_r <= layer.current_r
        )


@given(_modules(), st.integers(0, 2**32 - 1))
def test_permuting_modules_permutes_rows_only(modules: list[ModuleRank], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(modules))
    shuffled = [modules[index] for index in order]
    one, two = suggest_per_layer(modules), suggest_per_layer(shuffled)
    assert (one.default_r, one.rank_pattern) == (two.default_r, two.rank_pattern)
    assert one.by_module_type_p90 == two.by_module_type_p90
    assert Counter(map(repr, one.layers)) == Counter(map(repr, two.layers))
    assert suggest_global(modules) == suggest_global(shuffled)


@given(_modules())
def test_global_ranks_are_ordered(modules: list[ModuleRank]) -> None:
    found = suggest_global(modules)
    ranks = (found.suggested_r_median, found.suggested_r_p90, found.suggested_r_max)
    assume(None not in ranks)
    assert list(ranks) == sorted(rank for rank in ranks if rank is not None)


@given(spectra(), st.sampled_from(DEFAULT_POLICIES), st.integers(1, 99), st.integers(1, 99))
def test_policies_give_a_rank_from_one_to_n(
    sigma: Floats, policy: str, rows: int, columns: int
) -> None:
    found = apply_rank_policy(policy, sigma, (rows, columns))
    assert found is not None
    assert 1 <= found.k <= sigma.size
    assert 0 <= found.confidence <= 1


@given(spectra(), st.sampled_from(DEFAULT_POLICIES), st.integers(-40, 40))
def test_policies_do_not_depend_on_scale(sigma: Floats, policy: str, power: int) -> None:
    one, two = (apply_rank_policy(policy, c * sigma) for c in (1.0, 2.0**power))
    assert one is not None
    assert two is not None
    assert (one.k, one.confidence) == (two.k, two.confidence)


@given(MAGNITUDES, st.integers(0, 40), st.sampled_from(DEFAULT_POLICIES))
def test_an_exactly_rank_one_spectrum_is_of_rank_one(size: float, zeros: int, policy: str) -> None:
    found = apply_rank_policy(policy, np.array([size, *[0.0] * zeros]))
    assert found is not None
    assert found.k == 1
    assert found.confidence == 1.0
