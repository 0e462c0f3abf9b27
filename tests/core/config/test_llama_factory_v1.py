"""LLaMA-Factory's v1 layout."""

import pytest

from gradience.core.config.llama_factory_v1 import llama_factory_v1_snapshot
from gradience.core.config.snapshot import ConfigSnapshot


def read(**keys: object) -> ConfigSnapshot:
    return llama_factory_v1_snapshot({"model": "org/m", "train_dataset": "d.yaml", **keys}, "c")


def test_without_plugins_every_weight_is_trained_at_the_default_rate() -> None:
    found = read()
    assert (found.extras["finetuning"], found.lora.r, found.optimizer.lr) == ("full", None, 1e-4)
    assert found.training.batch_size == 1


@pytest.mark.parametrize(
    ("keys", "finetuning", "r"),
    [
        ({"peft_config": {"name": "lora"}}, "lora", 8),
        ({"peft_config": {"name": "lora", "r": 16}, "quant_config": {"quantization_bit": 4}},
         "qlora", 16),
        ({"peft_config": {"name": "freeze"}}, "freeze", None),
    ],
)  # fmt: skip
def test_the_plugin_tells_what_is_trained(
    keys: dict[str, object], finetuning: str, r: int | None
) -> None:
    found = read(**keys)
    assert (found.extras["finetuning"], found.lora.r) == (finetuning, r)


def test_an_automatic_quantisation_method_is_bitsandbytes() -> None:
    found = read(quant_config={"name": "auto", "quantization_bit": 4}, peft_config={"name": "lora"})
    assert found.extras["quantization"] == {"bits": 4, "scheme": "nf4", "double_quant": True}


def test_the_global_batch_leaves_the_accumulation_unknown() -> None:
    training = read(global_batch_size=32, micro_batch_size=2, bf16=True).training
    assert (training.batch_size, training.gradient_accumulation) == (2, None)
    assert training.extras["global_batch_size"] == 32
    assert training.dtype == "bfloat16"


def test_a_plugin_in_another_file_is_named() -> None:
    found = read(peft_config="plugin.yaml")
    assert found.extras["unread"] == ["peft_config"]
    assert found.extras.get("finetuning") is None
