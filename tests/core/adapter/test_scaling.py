"""Rank, alpha and scale per module, against what PEFT itself builds."""

import math

import pytest
from peft import LoraConfig, get_peft_model

from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.scaling import (
    ModuleScaling,
    adalora_scaling,
    lora_scaling,
    matching_key,
    module_scaling,
    scaling_of_alpha,
    unmatched_keys,
)
from gradience.core.errors import ConfigError
from tests.tiny_models import ATTENTION_AND_MLP, lora_layers, peft_warns, tiny_llama

PATTERNS = [
    ({}, {}),
    ({"q_proj": 2, "mlp.up_proj": 3}, {"v_proj": 32, "k_proj": 1}),
    ({"layers.1.self_attn.q_proj": 5, "q_proj": 2}, {"layers.0.mlp.down_proj": 4}),
    ({"q_proj": 2, "layers.1.self_attn.q_proj": 5}, {"self_attn.*": 64}),
    ({"^model.layers.0.self_attn.k_proj": 3, ".*_proj": 6}, {".*": 12}),
    ({r"layers\.\d+\.mlp\.(up|gate)_proj": 7}, {".*t.*_proj": 12, "o_proj": 2}),
]


@peft_warns
@pytest.mark.parametrize("use_rslora", [False, True])
@pytest.mark.parametrize(("rank_pattern", "alpha_pattern"), PATTERNS)
def test_every_module_gets_what_peft_gives_it(
    rank_pattern: dict[str, int], alpha_pattern: dict[str, int], *, use_rslora: bool
) -> None:
    peft_config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=ATTENTION_AND_MLP,
        rank_pattern=rank_pattern,
        alpha_pattern=alpha_pattern,
        use_rslora=use_rslora,
    )
    layers = lora_layers(get_peft_model(tiny_llama(), peft_config))
    raw = peft_config.to_dict()  # type: ignore[no-untyped-call]  # peft leaves it untyped
    config = peft_lora_config(raw, "config")
    assert len(layers) == 14
    for name, layer in layers.items():
        found = module_scaling(config, name)
        assert (found.r, found.alpha) == (layer.r["default"], layer.lora_alpha["default"])
        assert found.scale == pytest.approx(layer.scaling["default"], rel=1e-15)


@pytest.mark.parametrize(
    ("key", "module", "matches"),
    [
        ("q_proj", "layers.0.q_proj", True),
        ("q_proj", "layers.0.xq_proj", False),
        ("0.q_proj", "layers.10.q_proj", False),
        ("^q_proj", "layers.q_proj", False),
        ("^q_proj", "q_proj", True),
        ("a.b", "x.aXb", True),
        ("a|b", "x.b", True),
        ("q", "q.proj", False),
        ("w+1", "w+1", True),
    ],
)
def test_matching_is_that_of_peft(key: str, module: str, *, matches: bool) -> None:
    from peft.utils.other import get_pattern_key

    ranks = {key: 3}
    assert (get_pattern_key([key], module) in ranks) == matches
    assert (matching_key(ranks, module) is not None) == matches


def test_the_first_matching_key_wins() -> None:
    assert matching_key(["proj", "q_proj", ".*"], "q_proj") == "q_proj"
    assert matching_key([".*", "q_proj"], "q_proj") == ".*"


def test_a_key_that_is_no_expression_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'q_proj\('"):
        matching_key(["q_proj("], "q_proj")


def test_scale_is_alpha_over_r_or_over_its_root() -> None:
    assert lora_scaling(16, 16, use_rslora=False) == 1.0
    assert lora_scaling(16, 16, use_rslora=True) == 4.0
    assert lora_scaling(8, 2, use_rslora=True) == 8 / math.sqrt(2)


def test_keys_without_a_module_are_told() -> None:
    assert unmatched_keys(["q", "x", "0.q"], ["l.0.q", "l.1.q"]) == ("x",)


def test_a_stored_alpha_is_divided_by_the_rank() -> None:
    assert scaling_of_alpha(8.0, 4) == ModuleScaling(4, 8.0, 2.0)
    assert scaling_of_alpha(0.0, 4).scale == 0.0


def test_without_an_alpha_the_scale_is_one() -> None:
    assert scaling_of_alpha(None, 4) == ModuleScaling(4, 4.0, 1.0)
    assert scaling_of_alpha(None, 0).scale == 0.0


@pytest.mark.parametrize(("alpha", "scaling"), [(6, 6), (0, 4), (-1, 4)])
def test_adalora_divides_by_its_rank_number(alpha: float, scaling: float) -> None:
    assert adalora_scaling(alpha, 4) == pytest.approx(scaling / 4.00001, rel=1e-15)
