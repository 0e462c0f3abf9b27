"""Which tool a configuration file belongs to."""

from collections.abc import Mapping
from enum import Enum


class ConfigKind(Enum):
    """Configurations that can be told apart by their keys."""

    PEFT = "a PEFT adapter_config.json"
    TRAINING_ARGS = "Hugging Face training arguments"
    GRADIENCE = "a Gradience config"
    BENCH = "a Gradience bench config"
    AXOLOTL = "an Axolotl config"
    LLAMA_FACTORY = "a LLaMA-Factory config"
    TORCHTUNE = "a torchtune config"
    MS_SWIFT = "an ms-swift config"
    UNSLOTH = "an Unsloth studio config"
    TRL = "a TRL / alignment-handbook config"
    TRAINER_STATE = "a Hugging Face trainer_state.json"
    MODEL_CONFIG = "a model's config.json"
    MLX = "an mlx-lm adapter config"
    UNKNOWN = "a configuration of an unknown layout"


READ_KINDS = frozenset(
    {ConfigKind.PEFT, ConfigKind.TRAINING_ARGS, ConfigKind.GRADIENCE, ConfigKind.BENCH}
)
"""The kinds that this version reads; the others are refused by name."""

_MARKS: tuple[tuple[frozenset[str], ConfigKind], ...] = tuple(
    (frozenset(keys.split()), kind)
    for keys, kind in (
        ("peft_type", ConfigKind.PEFT),
        ("log_history", ConfigKind.TRAINER_STATE),
        ("lora_parameters", ConfigKind.MLX),
        ("finetuning_type", ConfigKind.LLAMA_FACTORY),
        ("model_class train_dataset", ConfigKind.LLAMA_FACTORY),
        ("tuner_type", ConfigKind.MS_SWIFT),
        ("base_model micro_batch_size", ConfigKind.AXOLOTL),
        ("base_model adapter", ConfigKind.AXOLOTL),
        ("bench_version", ConfigKind.BENCH),
        ("train lora task", ConfigKind.BENCH),
        ("model_name_or_path use_peft", ConfigKind.TRL),
        ("model_name_or_path learning_rate", ConfigKind.TRL),
        ("model_name_or_path dataset_name", ConfigKind.TRL),
        ("training lora model_name", ConfigKind.GRADIENCE),
        ("per_device_train_batch_size", ConfigKind.TRAINING_ARGS),
        ("adam_beta1", ConfigKind.TRAINING_ARGS),
        ("architectures", ConfigKind.MODEL_CONFIG),
    )
)

_GRADIENCE_KEYS = frozenset(
    [
        "model_name",
        "dataset_name",
        "task_profile",
        "optimizer",
        "lora",
        "training",
        "notes",
        "extras",
    ]
)


def config_kind(config: Mapping[str, object]) -> ConfigKind:
    """Recognises a parsed configuration by its keys.

    Args:
        config: The top level of the file.

    Returns:
        The kind; an empty config is Gradience's own.
    """
    model = config.get("model")
    if isinstance(model, Mapping) and "_component_" in model:
        return ConfigKind.TORCHTUNE
    for keys, kind in _MARKS:
        if keys <= config.keys():
            return kind
    training = config.get("training")
    if isinstance(training, Mapping) and "learning_rate" in training:
        return ConfigKind.UNSLOTH
    if config.keys() & _GRADIENCE_KEYS or not config:
        return ConfigKind.GRADIENCE
    return ConfigKind.UNKNOWN
