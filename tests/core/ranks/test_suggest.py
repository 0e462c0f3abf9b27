"""Suggested ranks, and patterns that PEFT takes as they are."""

from collections.abc import Callable
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model

from gradience.core.ranks.suggest import (
    ModuleRank,
    SuggestionPolicy,
    pattern_for,
    snap_up,
    suggest_global,
    suggest_per_layer,
)
from tests.tiny_models import (
    ATTENTION_AND_MLP,
    GPT2_TARGETS,
    lora_layers,
    peft_warns,
    tiny_gpt2,
    tiny_llama,
)

POLICY = SuggestionPolicy()


def _module(name: str, energy_rank: int | None, r: int = 16, kind: str = "attn") -> ModuleRank:
    return ModuleRank(name=name, module_type=kind, r=r, energy_rank_90=energy_rank, params=100)


@pytest.mark.parametrize(
    ("rank", "current", "expected"),
    [(1, 8, 1), (3, 8, 4), (4, 8, 4), (4.1, 8, 8), (5, 6, 6), (65, 128, 128), (64, 128, 64)],
)
def test_ranks_snap_up_and_never_above_the_present(
    rank: float, current: int, expected: int
) -> None:
    assert snap_up(rank, current, POLICY) == expected


def test_allowed_ranks_can_be_extended() -> None:
    policy = SuggestionPolicy(allowed_ranks=(128, 6, 3))
    assert [snap_up(k, 256, policy) for k in (2, 4, 100, 200)] == [3, 6, 128, 256]


def test_the_pattern_lists_what_differs_from_the_most_common_rank() -> None:
    found = suggest_per_layer([_module("a.q", 2), _module("b.q", 2), _module("c.q", 7)])
    assert found.default_r == 2
    assert found.rank_pattern == {"c.q": 8}
    assert [layer.suggested_r for layer in found.layers] == [2, 2, 8]
    assert found.layers[0].reduction_ratio == 1 - 2 / 16


def test_the_larger_rank_is_the_default_on_a_tie() -> None:
    assert suggest_per_layer([_module("a", 2), _module("b", 4)]).default_r == 4


def test_untrained_modules_get_no_suggestion_and_the_notes_say_so() -> None:
    found = suggest_per_layer([_module("a", 2), _module("b", None)])
    assert found.layers[1].suggested_r is None
    assert "used=1, skipped=1" in found.notes


def test_an_untrained_adapter_gets_no_suggestion_at_all() -> None:
    found = suggest_per_layer([_module("a", None)])
    assert (found.default_r, found.rank_pattern, found.by_module_type_p90) == (None, {}, {})
    overall = suggest_global([_module("a", None)])
    assert (overall.suggested_r_median, overall.suggested_r_p90) == (None, None)
    assert overall.reduction_ratio_median is None


def test_types_are_suggested_apart() -> None:
    modules = [_module("a.q", 2), _module("a.up", 9, kind="mlp"), _module("x", None, kind="other")]
    assert suggest_per_layer(modules).by_module_type_p90 == {"attn": 2, "mlp": 16}


def test_global_ranks_cover_the_median_module_ninety_percent_and_all() -> None:
    modules = [_module(f"m{i}", k) for i, k in enumerate([1] * 6 + [3] * 3 + [13])]
    found = suggest_global(modules)
    assert (found.suggested_r_median, found.suggested_r_p90, found.suggested_r_max) == (1, 4, 16)
    assert (found.current_r, found.total_lora_params) == (16, 1000)
    assert found.reduction_ratio_p90 == 0.75


def test_no_modules_give_no_suggestion() -> None:
    assert suggest_global([]).current_r is None
    assert suggest_per_layer([]).default_r is None


def test_a_name_that_ends_another_is_anchored() -> None:
    modules = ["layers.0.q", "encoder.layers.0.q", "v"]
    assert pattern_for({"layers.0.q": 2, "v": 4}, modules) == {"^layers.0.q": 2, "v": 4}


@peft_warns
@pytest.mark.parametrize(
    ("build", "targets"), [(tiny_llama, ATTENTION_AND_MLP), (tiny_gpt2, GPT2_TARGETS)]
)
def test_peft_gives_each_module_exactly_the_suggested_rank(
    build: Callable[[], Any], targets: list[str]
) -> None:
    fan_in_fan_out = build is tiny_gpt2
    full = LoraConfig(r=16, target_modules=targets, fan_in_fan_out=fan_in_fan_out)
    names = list(lora_layers(get_peft_model(build(), full)))
    modules = [_module(name, 1 + 3 * i % 16) for i, name in enumerate(names)]
    found = suggest_per_layer(modules)
    assert found.default_r is not None
    small = LoraConfig(
        r=found.default_r,
        rank_pattern=dict(found.rank_pattern),
        target_modules=targets,
        fan_in_fan_out=fan_in_fan_out,
    )
    layers = lora_layers(get_peft_model(build(), small))
    built = {name: layer.r["default"] for name, layer in layers.items()}
    assert built == {layer.name: layer.suggested_r for layer in found.layers}
    assert len(set(built.values())) > 2
