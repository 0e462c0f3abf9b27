"""Targets named for transformers 4, on experts that version 5 stacks."""

import attrs
import pytest

from gradience.core.architecture.adapter_settings import AdapterSettings, adapter_settings
from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.fused_experts import FusedTargets, fused_targets
from gradience.core.architecture.modules import Architecture
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from tests.meta_models import DECODER

MIXTRAL = build_architecture(DECODER | {"model_type": "mixtral", "num_local_experts": 4})


def adapter(targets: tuple[str, ...] | str | None) -> AdapterSettings:
    """An adapter of rank 4 and alpha 6."""
    lora = LoraSnapshot(r=4, alpha=6, target_modules=targets)
    return adapter_settings(ConfigSnapshot(lora=lora))


def fused(targets: tuple[str, ...] | str | None) -> FusedTargets:
    """The conversion on a tiny Mixtral."""
    assert isinstance(MIXTRAL, Architecture)
    found = fused_targets(adapter(targets), MIXTRAL, frozenset({"model.layers.0.self_attn.q_proj"}))
    assert isinstance(found, FusedTargets)
    return found


def test_alpha_grows_with_the_rank() -> None:
    lora = fused(("w1", "w3", "block.w2", "q_proj")).adapter.lora
    assert lora.target_modules == ("q_proj",)
    assert set(lora.target_parameters) == {"gate_up_proj", "down_proj"}
    assert lora.rank_pattern == {r".*\.gate_up_proj": 8}
    assert lora.alpha_pattern == {r".*\.gate_up_proj": 12}


def test_all_linear_takes_router_and_experts() -> None:
    lora = fused("all-linear").adapter.lora
    assert lora.target_modules == ("q_proj",)
    assert set(lora.target_parameters) == {"gate.weight", "gate_up_proj", "down_proj"}


@pytest.mark.parametrize("targets", [r".*\.experts\.(w1|w3)", r".*(w1|w3)"])
def test_an_expression_may_name_what_is_fused(targets: str) -> None:
    found = fused(targets)
    assert found.adapter.lora.target_modules == ()
    assert found.adapter.lora.target_parameters == ("gate_up_proj",)


def test_an_expression_that_matches_nothing_stays() -> None:
    assert fused("q_proj").adapter == adapter("q_proj")


def test_other_model_types_are_left_alone() -> None:
    assert isinstance(MIXTRAL, Architecture)
    other = attrs.evolve(MIXTRAL, model_type="llama")
    found = fused_targets(adapter(("w1",)), other, frozenset())
    assert isinstance(found, FusedTargets)
    assert found.adapter == adapter(("w1",))
