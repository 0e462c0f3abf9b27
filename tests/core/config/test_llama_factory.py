"""LLaMA-Factory's configurations."""

import pytest

from gradience.core.config.defaults import default_source
from gradience.core.config.llama_factory import llama_factory_snapshot, quantised_base
from gradience.core.config.overlay import with_ratio
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.trainer_arguments import TRAINER


def read(**keys: object) -> ConfigSnapshot:
    return with_ratio(llama_factory_snapshot({"model_name_or_path": "org/m", **keys}, "c.yaml"))


def test_a_few_lines_get_its_defaults() -> None:
    found = read(stage="sft")
    assert (found.lora.r, found.lora.alpha, found.lora.target_modules) == (8, 16.0, "all-linear")
    assert (found.optimizer.lr, found.training.batch_size, found.training.epochs) == (5e-5, 8, 3.0)
    assert found.extras["finetuning"] == "lora"
    for name in ("lora.r", "lora.alpha", "lora.target_modules", "extras.finetuning"):
        assert default_source(found, name) == "LLaMA-Factory"
    assert default_source(found, "optimizer.lr") == TRAINER


def test_only_supervised_training_masks_the_prompt_by_default() -> None:
    assert read(stage="sft").training.extras["train_on_inputs"] is False
    assert "train_on_inputs" not in read(stage="pt").training.extras


def test_alpha_is_twice_the_rank_unless_it_is_given() -> None:
    assert read(lora_rank=64).lora.alpha == 128.0
    assert read(lora_rank=64, lora_alpha=16).lora.alpha_over_r == 0.25


@pytest.mark.parametrize(
    ("keys", "objective"),
    [
        ({"stage": "pt"}, "pretrain"),
        ({"stage": "rm"}, "reward"),
        ({"stage": "ppo"}, "ppo"),
        ({"stage": "dpo", "pref_loss": "sigmoid"}, "dpo"),
        ({"stage": "dpo", "pref_loss": "orpo"}, "orpo"),
        ({"stage": "dpo", "pref_loss": "simpo"}, "simpo"),
        ({}, "sft"),
    ],
)
def test_the_stage_tells_the_objective(keys: dict[str, object], objective: str) -> None:
    assert read(**keys).training.extras["objective"] == objective


@pytest.mark.parametrize(
    ("keys", "finetuning", "peft_type", "r"),
    [
        ({"finetuning_type": "full"}, "full", None, None),
        ({"finetuning_type": "freeze"}, "freeze", None, None),
        ({"finetuning_type": "oft"}, "oft", "OFT", None),
        ({"quantization_bit": 4}, "qlora", None, 8),
        ({"finetuning_type": "lora", "quantization_bit": 8}, "lora", None, 8),
    ],
)
def test_what_is_trained(
    keys: dict[str, object], finetuning: str, peft_type: str | None, r: int | None
) -> None:
    found = read(**keys)
    assert (found.extras["finetuning"], found.extras.get("peft_type")) == (finetuning, peft_type)
    assert found.lora.r == r


@pytest.mark.parametrize(
    ("arguments", "base"),
    [
        ((4, None), {"bits": 4, "scheme": "nf4", "double_quant": True}),
        ((4, "bnb", "fp4", False), {"bits": 4, "scheme": "fp4", "double_quant": False}),
        ((8, "bitsandbytes"), {"bits": 8, "scheme": "int8"}),
        ((2, "hqq"), {"bits": 2, "scheme": "hqq"}),
        ((None, "hqq"), None),
    ],
)
def test_the_base(
    arguments: tuple[int | None, str | None, str | None, bool | None],
    base: dict[str, object] | None,
) -> None:
    assert quantised_base(*arguments) == base


@pytest.mark.parametrize(
    ("keys", "init"),
    [
        ({"pissa_init": True}, "pissa_niter_16"),
        ({"pissa_init": True, "pissa_iter": -1}, "pissa"),
        ({"pissa_init": False}, None),
    ],
)
def test_pissa(keys: dict[str, object], init: str | None) -> None:
    assert read(**keys).lora.extras.get("init_lora_weights") == init


def test_further_settings() -> None:
    found = read(
        lora_target="q_proj,v_proj",
        additional_target="embed_tokens,lm_head",
        loraplus_lr_ratio=16.0,
        dataset="identity,/home/ann/own.json",
        pure_bf16=True,
        ray_num_workers=4,
        val_size=0.1,
        use_galore=True,
        max_grad_norm=None,
    )
    assert found.lora.target_modules == ("q_proj", "v_proj")
    assert found.lora.extras["modules_to_save"] == ["embed_tokens", "lm_head"]
    assert found.optimizer.extras == {"loraplus_lr_ratio": 16.0}
    assert found.dataset_name == "identity,own.json"
    assert found.training.dtype == found.training.extras["parameter_dtype"] == "bfloat16"
    assert (found.training.extras["world_size"], found.training.extras["val_set_size"]) == (4, 0.1)
    assert found.extras["unread"] == ["use_galore"]
    assert found.training.extras["max_grad_norm"] is None
