"""A configuration is recognised by its keys."""

import pytest

from gradience.core.config.foreign import READ_KINDS, ConfigKind, config_kind


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ("peft_type r", ConfigKind.PEFT),
        ("log_history", ConfigKind.TRAINER_STATE),
        ("lora_parameters model", ConfigKind.MLX),
        ("model_name_or_path finetuning_type", ConfigKind.LLAMA_FACTORY),
        ("model model_class train_dataset", ConfigKind.LLAMA_FACTORY),
        ("tuner_type", ConfigKind.MS_SWIFT),
        ("base_model adapter", ConfigKind.AXOLOTL),
        ("base_model micro_batch_size", ConfigKind.AXOLOTL),
        ("bench_version", ConfigKind.BENCH),
        ("model task train lora", ConfigKind.BENCH),
        ("model_name_or_path use_peft", ConfigKind.TRL),
        ("per_device_train_batch_size", ConfigKind.TRAINING_ARGS),
        ("architectures", ConfigKind.MODEL_CONFIG),
        ("model_name lora training", ConfigKind.GRADIENCE),
        ("optimizer", ConfigKind.GRADIENCE),
        ("", ConfigKind.GRADIENCE),
        ("colour", ConfigKind.UNKNOWN),
    ],
)
def test_keys_tell_the_tool(keys: str, kind: ConfigKind) -> None:
    assert config_kind(dict.fromkeys(keys.split())) is kind


def test_a_component_tells_torchtune() -> None:
    assert config_kind({"model": {"_component_": "x"}}) is ConfigKind.TORCHTUNE


def test_a_rate_in_the_training_part_tells_unsloth() -> None:
    assert config_kind({"training": {"learning_rate": 1}}) is ConfigKind.UNSLOTH


def test_four_kinds_are_read() -> None:
    assert len(READ_KINDS) == 4
