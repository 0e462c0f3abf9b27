"""TRL's configurations."""

import pytest

from gradience.core.config.defaults import default_source
from gradience.core.config.trl import trl_snapshot

MODEL = {"model_name_or_path": "org/m"}


def test_use_peft_alone_gives_trls_adapter() -> None:
    found = trl_snapshot({**MODEL, "use_peft": True, "max_seq_length": 512}, "c.yaml")
    assert (found.lora.r, found.lora.alpha, found.lora.dropout) == (16, 32.0, 0.05)
    assert found.lora.target_modules is None
    assert found.extras["finetuning"] == "lora"
    assert (found.optimizer.lr, default_source(found, "lora.r")) == (2e-5, "TRL's ModelConfig")


def test_without_a_sign_of_the_trainer_the_rate_is_unknown() -> None:
    found = trl_snapshot({**MODEL, "use_peft": True}, "c.yaml")
    assert found.optimizer.lr is None
    assert "objective" not in found.training.extras


@pytest.mark.parametrize(
    ("keys", "finetuning", "r"),
    [
        ({}, "full", None),
        ({"use_peft": False, "lora_r": 8}, "full", None),
        ({"lora_r": 8}, "lora", 8),
        ({"use_peft": True, "lora_r": 8, "load_in_4bit": True}, "qlora", 8),
        ({"use_peft": True, "lora_r": 8, "load_in_8bit": True}, "lora", 8),
    ],
)
def test_what_is_trained(keys: dict[str, object], finetuning: str, r: int | None) -> None:
    found = trl_snapshot({**MODEL, **keys}, "c.yaml")
    assert (found.extras["finetuning"], found.lora.r) == (finetuning, r)


def test_weights_that_are_trained_in_half_precision_are_said_to_be() -> None:
    full = trl_snapshot({**MODEL, "torch_dtype": "bfloat16", "bf16": True}, "c.yaml")
    assert full.training.extras["parameter_dtype"] == "bfloat16"
    adapter = trl_snapshot({**MODEL, "dtype": "bfloat16", "use_peft": True}, "c.yaml")
    assert "parameter_dtype" not in adapter.training.extras
    assert adapter.extras["model_dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"dataset_name": "a/b"}, "a/b"),
        ({"dataset_mixer": {"a/b": 1.0, "c": 0.5}}, "a/b,c"),
        ({"dataset_mixture": {"datasets": [{"id": "a/b"}, {"id": "a/b"}, 3]}}, "a/b"),
        ({"datasets": [{"path": "a"}, {"path": "/home/ann/b"}]}, "a,b"),
    ],
)
def test_data_sets_of_every_layout(keys: dict[str, object], names: str) -> None:
    assert trl_snapshot({**MODEL, **keys}, "c.yaml").dataset_name == names


def test_settings_of_the_adapter() -> None:
    keys = {
        "use_peft": True,
        "use_rslora": True,
        "lora_task_type": "SEQ_CLS",
        "lora_modules_to_save": ["score"],
        "lora_target_parameters": ["mlp.experts"],
        "lora_target_modules": "all-linear",
        "use_bnb_nested_quant": True,
        "load_in_4bit": True,
    }
    found = trl_snapshot({**MODEL, **keys}, "c.yaml")
    assert found.lora.extras["modules_to_save"] == ["score"]
    assert found.lora.extras["target_parameters"] == ["mlp.experts"]
    assert found.lora.extras["use_rslora"] is True
    assert found.training.extras["objective"] == "reward"
    assert found.lora.target_modules == "all-linear"
    assert found.extras["quantization"] == {"bits": 4, "scheme": "nf4", "double_quant": True}
