"""Weights & Biases' config.yaml of a Hugging Face run."""

import pytest

from gradience.core.config.wandb import wandb_snapshot
from gradience.core.errors import ConfigError

RAW: dict[str, object] = {
    "_wandb": {"value": {"cli_version": "0.19", "python_version": "3.11"}},
    "wandb_version": 1,
    "architectures": {"desc": None, "value": ["LlamaForCausalLM"]},
    "_name_or_path": {"value": "/home/ann/llama"},
    "learning_rate": {"desc": None, "value": 2e-4},
    "per_device_train_batch_size": {"value": 4},
    "hub_token": {"value": "secret"},
    "peft_config": {"value": {"default": {"peft_type": "LORA", "r": 16, "lora_alpha": 32}}},
}


def test_the_trainers_and_the_adapters_settings_are_found_among_the_models() -> None:
    found = wandb_snapshot(RAW, "config.yaml")
    assert (found.optimizer.lr, found.training.batch_size) == (2e-4, 4)
    assert (found.lora.r, found.lora.alpha) == (16, 32.0)
    assert found.model_name == "llama"
    assert found.extras["tool"] == "wandb"
    assert "secret" not in repr(found)


def test_a_run_without_training_arguments_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected the training arguments .*--lr"):
        wandb_snapshot({"wandb_version": 1, "epochs": {"value": 3}}, "config.yaml")


@pytest.mark.parametrize("adapter", ["text", {}, {"default": 3}, {"default": {"r": 8}}])
def test_an_adapter_that_is_none_is_passed_over(adapter: object) -> None:
    raw = {**RAW, "peft_config": {"value": adapter}}
    assert wandb_snapshot(raw, "config.yaml").lora.r is None
