"""Unsloth studio's configurations."""

import pytest

from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TrainingSnapshot,
)
from gradience.core.config.unsloth import unsloth_snapshot

STUDIO: dict[str, object] = {
    "model": "unsloth/Qwen2.5-0.5B",
    "data": {"dataset": "tatsu-lab/alpaca"},
    "training": {
        "training_type": "lora",
        "load_in_4bit": True,
        "learning_rate": "2e-4",
        "num_epochs": 1,
        "max_steps": 0,
        "batch_size": 2,
        "gradient_accumulation_steps": 4,
        "weight_decay": 0.01,
        "random_seed": 3407,
        "train_on_completions": True,
    },
    "lora": {"lora_r": 64, "lora_alpha": 16, "target_modules": "q_proj,v_proj", "use_dora": False},
    "logging": {"wandb_project": "private"},
}


def test_a_studio_config_in_full() -> None:
    assert unsloth_snapshot(STUDIO, "lora.yaml") == ConfigSnapshot(
        model_name="unsloth/Qwen2.5-0.5B",
        dataset_name="tatsu-lab/alpaca",
        optimizer=OptimizerSnapshot(lr=2e-4, weight_decay=0.01),
        lora=LoraSnapshot(
            r=64, alpha=16.0, target_modules=("q_proj", "v_proj"), extras={"use_dora": False}
        ),
        training=TrainingSnapshot(
            seed=3407,
            batch_size=2,
            gradient_accumulation=4,
            epochs=1.0,
            extras={"train_on_inputs": False},
        ),
        extras={
            "tool": "unsloth",
            "finetuning": "qlora",
            "quantization": {"bits": 4, "scheme": "nf4"},
        },
    )


def test_full_fine_tuning_has_no_adapter() -> None:
    raw = {"training": {"training_type": "full", "learning_rate": 1e-5}, "lora": {"lora_r": 64}}
    found = unsloth_snapshot(raw, "full.yaml")
    assert (found.extras["finetuning"], found.lora) == ("full", LoraSnapshot())


@pytest.mark.parametrize(
    ("lora", "targets", "init"),
    [
        ({"target_modules": ["q_proj"], "use_loftq": True}, ("q_proj",), "loftq"),
        ({"target_modules": "", "vision_all_linear": True}, "all-linear", None),
        ({"target_modules": ""}, None, None),
    ],
)
def test_settings_of_the_adapter(lora: dict[str, object], targets: object, init: object) -> None:
    found = unsloth_snapshot({"training": {"learning_rate": 1}, "lora": lora}, "c").lora
    assert (found.target_modules, found.extras.get("init_lora_weights")) == (targets, init)
