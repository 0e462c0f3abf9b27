"""Axolotl's configurations."""

import pytest

from gradience.core.config.axolotl import axolotl_snapshot
from gradience.core.config.defaults import default_source
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.trainer_arguments import TRAINER
from gradience.core.errors import ConfigError


def read(**keys: object) -> ConfigSnapshot:
    return axolotl_snapshot({"base_model": "org/m", "adapter": "lora", **keys}, "c.yml")


def test_five_lines_get_axolotls_defaults() -> None:
    found = read(lora_r=8, lora_alpha=16, learning_rate="2e-4")
    training = found.training
    assert (found.optimizer.lr, found.optimizer.name) == (2e-4, "adamw_torch_fused")
    assert (training.batch_size, training.gradient_accumulation, training.epochs) == (1, 1, 1.0)
    assert training.extras["lr_scheduler_type"] == "cosine"
    assert default_source(found, "training.extras.max_grad_norm") == TRAINER
    assert default_source(found, "optimizer.lr") is None


def test_only_supervised_training_masks_the_prompt_by_default() -> None:
    assert read().training.extras["train_on_inputs"] is False
    assert "train_on_inputs" not in read(rl="dpo").training.extras


def test_a_missing_rate_and_rank_stay_unknown() -> None:
    found = read()
    assert (found.optimizer.lr, found.lora.r, found.lora.alpha) == (None, None, None)


@pytest.mark.parametrize(
    ("keys", "finetuning", "peft_type"),
    [
        ({"adapter": None}, "full", None),
        ({"adapter": "qlora", "load_in_4bit": True}, "qlora", None),
        ({"load_in_4bit": True}, "qlora", None),
        ({"relora": True}, "relora", None),
        ({"adapter": "llama-adapter"}, "llama-adapter", "LLAMA-ADAPTER"),
    ],
)
def test_what_is_trained(keys: dict[str, object], finetuning: str, peft_type: str | None) -> None:
    found = read(**keys, lora_r=8)
    assert found.extras["finetuning"] == finetuning
    assert found.extras.get("peft_type") == peft_type
    assert (found.lora.r is None) is (finetuning in {"full", "llama-adapter"})


@pytest.mark.parametrize(
    ("keys", "objective"),
    [
        ({}, "sft"),
        ({"rl": "ipo"}, "dpo"),
        ({"rl": "grpo"}, "grpo"),
        ({"rl": "orpo"}, "orpo"),
        ({"reward_model": True}, "reward"),
        ({"kd_trainer": True}, "distillation"),
        ({"datasets": [{"path": "d", "type": "completion"}]}, "pretrain"),
        ({"datasets": [{"path": "d", "type": {"field_system": "s"}}]}, "sft"),
        ({"pretraining_dataset": "c4"}, "pretrain"),
        ({"pretraining_dataset": [{"path": "c4"}]}, "pretrain"),
    ],
)
def test_the_objective(keys: dict[str, object], objective: str) -> None:
    assert read(**keys).training.extras["objective"] == objective


@pytest.mark.parametrize(
    ("keys", "base"),
    [
        ({"load_in_8bit": True}, {"bits": 8, "scheme": "int8"}),
        ({"gptq": True}, {"scheme": "gptq"}),
        ({"peft": {"backend": "torchao", "weight_dtype": "int4"}}, {"bits": 4, "scheme": "int4"}),
        (
            {
                "load_in_4bit": True,
                "bnb_config_kwargs": {
                    "bnb_4bit_quant_type": "fp4",
                    "bnb_4bit_use_double_quant": False,
                    "bnb_4bit_compute_dtype": "torch.bfloat16",
                },
            },
            {"bits": 4, "scheme": "fp4", "compute_dtype": "bfloat16", "double_quant": False},
        ),
        ({"load_in_4bit": False}, None),
    ],
)
def test_the_base(keys: dict[str, object], base: dict[str, object] | None) -> None:
    assert read(**keys).extras.get("quantization") == base


def test_settings_of_the_adapter() -> None:
    found = read(
        lora_target_linear=True,
        lora_target_modules=["q_proj"],
        peft_use_dora=True,
        peft_use_rslora=True,
        peft_init_lora_weights="pissa",
        lora_rank_pattern={"q_proj": 4},
        peft_layers_to_transform=[0, 1],
        loraplus_lr_ratio=16,
        embedding_lr=1e-6,
    )
    assert found.lora.target_modules == "all-linear"
    assert found.lora.extras == {
        "use_rslora": True,
        "use_dora": True,
        "rank_pattern": {"q_proj": 4},
        "init_lora_weights": "pissa",
        "layers_to_transform": [0, 1],
    }
    assert found.optimizer.extras == {"loraplus_lr_ratio": 16.0, "embedding_lr": 1e-6}


def test_the_discouraged_total_batch_gives_the_accumulation() -> None:
    assert read(batch_size=16, micro_batch_size=4).training.gradient_accumulation == 4
    assert read(batch_size=16, micro_batch_size=0).training.gradient_accumulation == 16


@pytest.mark.parametrize(
    ("keys", "strategy"),
    [
        ({}, "no"),
        ({"val_set_size": 0.0, "evals_per_epoch": 4}, "no"),
        ({"val_set_size": 0.1, "evals_per_epoch": 4}, "steps"),
        ({"val_set_size": 0.1, "eval_strategy": "epoch"}, "epoch"),
        ({"test_datasets": [{"path": "d"}], "eval_steps": 10}, "steps"),
    ],
)
def test_nothing_held_out_is_never_evaluated(keys: dict[str, object], strategy: str) -> None:
    assert read(**keys).training.extras["eval_strategy"] == strategy


@pytest.mark.parametrize(
    ("keys", "dtype", "trained"),
    [
        ({"bf16": "auto"}, "bfloat16", None),
        ({"fp16": True, "bf16": False}, "float16", None),
        ({"bfloat16": True}, "bfloat16", "bfloat16"),
        ({}, None, None),
    ],
)
def test_precision(keys: dict[str, object], dtype: str | None, trained: str | None) -> None:
    training = read(**keys).training
    assert (training.dtype, training.extras.get("parameter_dtype")) == (dtype, trained)


def test_what_changes_the_training_and_is_not_described_is_named() -> None:
    found = read(lr_groups=[{"name": "a"}], learning_rate="${LR}", unfrozen_parameters=["^lm_head"])
    assert found.extras["unread"] == ["learning_rate", "lr_groups", "unfrozen_parameters"]


def test_a_value_that_does_not_fit_is_named_by_its_path() -> None:
    with pytest.raises(ConfigError, match=r"^c\.yml: axolotl\.lora_r: .*'many'"):
        read(lora_r="many")


def test_the_settings_of_loftq_are_read() -> None:
    found = read(
        adapter="lora",
        peft={"loftq_config": {"loftq_bits": 4}},
        peft_init_lora_weights="loftq",
    )
    assert found.lora.extras["loftq_config"] == {"loftq_bits": 4}
    assert "quantization" not in found.extras
