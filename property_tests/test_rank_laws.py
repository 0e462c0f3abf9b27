"""Laws of rank policies, suggestions and the patterns made of them."""

import re
from collections import Counter

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.scaling import module_scaling
from gradience.core.ranks.policies import (
    DEFAULT_POLICIES,
    RankSuggestion,
    apply_rank_policy,
)
from gradience.core.ranks.suggest import (
    ModuleRank,
    SuggestionPolicy,
    pattern_for,
    snap_up,
    suggest_global,
    suggest_per_layer,
)
from gradience.shell.null_draws import null_for
from property_tests.factors import MAGNITUDES, Floats, spectra

SPECS = (*DEFAULT_POLICIES, "sv_fro@0.90", "sv_cumulative@0.70", "sv_ratio@5.00")
RANKS = st.integers(1, 300)
SHARES = st.floats(0.01, 1.0)
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


def _apply(policy: str, sigma: Floats, shape: tuple[int, int] = (50, 60)) -> RankSuggestion:
    found = apply_rank_policy(policy, sigma, shape, null_for(sigma.size, 50, 60))
    assert found is not None
    return found


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


@given(spectra(), st.sampled_from(SPECS), st.integers(1, 99), st.integers(1, 99))
def test_policies_give_a_rank_from_one_to_n(
    sigma: Floats, policy: str, rows: int, columns: int
) -> None:
    found = _apply(policy, sigma, (rows, columns))
    assert 1 <= found.k <= sigma.size
    assert 0 <= found.confidence <= 1


@given(spectra(), st.sampled_from(SPECS), st.integers(-40, 40))
def test_policies_do_not_depend_on_scale(sigma: Floats, policy: str, power: int) -> None:
    one, two = (_apply(policy, c * sigma) for c in (1.0, 2.0**power))
    assert (one.k, one.confidence) == (two.k, two.confidence)


@given(MAGNITUDES, st.integers(0, 40), st.sampled_from(SPECS))
def test_an_exactly_rank_one_spectrum_is_of_rank_one(size: float, zeros: int, policy: str) -> None:
    found = _apply(policy, np.array([size, *[0.0] * zeros]))
    assert found.k == 1
    assert found.confidence == 1.0


@given(spectra(), SHARES)
def test_kohyas_frobenius_share_is_the_energy_share_of_its_square(
    sigma: Floats, share: float
) -> None:
    kept = _apply(f"sv_fro@{share:.6f}", sigma)
    squares = (sigma / sigma[0]) ** 2
    running = np.cumsum(squares) / squares.sum()
    target = float(f"{share:.6f}") ** 2
    assert running[kept.k - 1] >= target - 1e-9
    assert kept.k == 1 or running[kept.k - 2] < target + 1e-9


@given(spectra(), SHARES, SHARES, st.sampled_from(["energy", "sv_fro", "sv_cumulative"]))
def test_a_larger_share_never_asks_for_a_lower_rank(
    sigma: Floats, one: float, two: float, name: str
) -> None:
    low, high = sorted([one, two])
    assert _apply(f"{name}@{low:.6f}", sigma).k <= _apply(f"{name}@{high:.6f}", sigma).k


@given(spectra(), SHARES)
def test_shares_of_values_ask_for_no_less_than_shares_of_energy(
    sigma: Floats, share: float
) -> None:
    energy = _apply(f"energy@{share:.6f}", sigma).k
    assert _apply(f"sv_fro@{share:.6f}", sigma).k <= energy
    assert energy <= _apply(f"sv_cumulative@{share:.6f}", sigma).k


@given(spectra(), st.floats(1.01, 1e6))
def test_the_ratio_keeps_what_is_above_it(sigma: Floats, ratio: float) -> None:
    found = _apply(f"sv_ratio@{ratio:.6f}", sigma)
    top = sigma[0] / float(f"{ratio:.6f}")
    assert sigma[found.k - 1] > top
    assert found.k == sigma.size or sigma[found.k] <= top


@given(spectra())
def test_the_null_keeps_leading_directions_above_noise_and_no_more(sigma: Floats) -> None:
    found = _apply("null", sigma)
    quantiles = null_for(sigma.size, 50, 60).share_p95
    squares = (sigma / sigma[0]) ** 2
    shares = squares / squares.sum()
    leading = found.details["above_null"]
    assert isinstance(leading, int)
    assert found.k == max(leading, 1)
    assert all(shares[i] > quantiles[i] for i in range(leading))
    assert leading == sigma.size or shares[leading] <= quantiles[leading]
