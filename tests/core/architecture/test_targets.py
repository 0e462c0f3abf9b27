"""Which modules an adapter reaches; the numbers against PEFT are in test_resolve.py."""

import pytest

from gradience.core.architecture.adapter_settings import adapter_settings
from gradience.core.architecture.build import build_architecture
from gradience.core.architecture.modules import Architecture
from gradience.core.architecture.targets import Resolution, listed, resolve
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from tests.meta_models import DECODER

MIXTRAL = DECODER | {"model_type": "mixtral", "num_local_experts": 4}


def resolved(targets: tuple[str, ...] | str | None, **extras: object) -> Resolution | str:
    """The resolution on a tiny Mixtral."""
    architecture = build_architecture(MIXTRAL)
    assert isinstance(architecture, Architecture)
    lora = LoraSnapshot(r=4, target_modules=targets, extras=extras)
    return resolve(architecture, adapter_settings(ConfigSnapshot(lora=lora)))


def test_parameters_are_named_with_their_module() -> None:
    found = resolved(("v_proj",), target_parameters=["experts.down_proj"])
    assert isinstance(found, Resolution)
    assert found.matched == {"v_proj": 3, "experts.down_proj": 3}
    assert [each.name for each in found.adapted][-1] == "model.layers.2.mlp.experts.down_proj"


def test_fused_experts_get_twice_the_rank() -> None:
    found = resolved(("w1", "w3"))
    assert isinstance(found, Resolution)
    assert found.adapter.lora.rank_pattern == {r".*\.gate_up_proj": 8}
    assert found.matched == {"w1": 3, "w3": 3}


def test_one_half_of_fused_experts_is_refused() -> None:
    assert resolved(("w3",)) == (
        "PEFT refuses the target w3 without w1: transformers 5 fuses them into gate_up_proj"
    )


@pytest.mark.parametrize("setting", ["lora_bias", "fan_in_fan_out", "use_dora"])
def test_settings_that_parameters_cannot_have(setting: str) -> None:
    found = resolved(("w2",), **{setting: True})
    assert isinstance(found, Resolution)
    assert found.problems == (f"PEFT refuses {setting} where it adapts parameters such as experts",)


def test_a_bias_of_a_router_is_no_matrix() -> None:
    found = resolved(("q_proj",), target_parameters=["input_layernorm.weight"])
    assert isinstance(found, Resolution)
    assert any("neither a matrix" in problem for problem in found.problems)


def test_names_are_listed_in_part() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and 1 other"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 others"
