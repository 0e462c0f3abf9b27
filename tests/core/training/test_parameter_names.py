"""Names of modules from names of parameters."""

import pytest

from gradience.core.training.parameter_names import base_module_name, owner_of

BASE = "model.layers.3.self_attn.q_proj"


@pytest.mark.parametrize(
    "name",
    [
        f"base_model.model.{BASE}.lora_A.default.weight",
        f"base_model.model.{BASE}.lora_embedding_B.default",
        f"module.base_model.model.{BASE}.lora_magnitude_vector.default.weight",
        f"_orig_mod.module.base_model.model.{BASE}.lora_B.second.bias",
        f"{BASE}.weight",
        f"base_model.model.{BASE}.modules_to_save.default.weight",
    ],
)
def test_every_parameter_of_a_module_names_the_module(name: str) -> None:
    assert owner_of(name) == BASE


def test_a_parameter_of_the_model_itself_has_no_module() -> None:
    assert owner_of("scale") == ""


def test_only_leading_wrappers_are_taken_off() -> None:
    assert base_module_name("module.head.module.linear") == "head.module.linear"
    assert base_module_name("encoder") == "encoder"
