"""Which tool a configuration file belongs to."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class ConfigKind(Enum):
    """Configurations that can be told apart by their keys."""

    PEFT = "a PEFT adapter_config.json"
    TRAINING_ARGS = "Hugging Face training arguments"
    GRADIENCE = "a Gradience config"
    BENCH = "a Gradience bench config"
    AXOLOTL = "an Axolotl config"
    LLAMA_FACTORY = "a LLaMA-Factory config"
    LLAMA_FACTORY_V1 = "a LLaMA-Factory v1 config"
    TORCHTUNE = "a torchtune config"
    MS_SWIFT = "an ms-swift config"
    UNSLOTH = "an Unsloth studio config"
    TRL = "a TRL / alignment-handbook config"
    MLX = "an mlx-lm config"
    WANDB = "a Weights & Biases config"
    TRAINER_STATE = "a Hugging Face trainer_state.json"
    MODEL_CONFIG = "a model's config.json"
    GENERATION_CONFIG = "a model's generation_config.json"
    TOKENIZER = "a tokenizer's configuration"
    PROCESSOR = "a processor's configuration"
    WEIGHT_INDEX = "the index of a checkpoint's weights"
    DEEPSPEED = "a DeepSpeed config"
    ACCELERATE = "an Accelerate config"
    FSDP = "an FSDP config"
    INFERENCE = "a config for inference, evaluation or export"
    MEGATRON_SWIFT = "a Megatron-SWIFT config"
    MERGEKIT = "a mergekit config"
    UNKNOWN = "a configuration of an unknown layout"


_NAME_THE_TRAINING = (
    "Name the training's configuration: adapter_config.json, training_args.json, or the tool's YAML"
)

_NOT_THE_HYPERPARAMETERS = (
    "It says how the work is spread over devices, not what is trained. " + _NAME_THE_TRAINING
)

REFUSED: Mapping[ConfigKind, str] = {
    ConfigKind.TRAINER_STATE: "It is a log: use gradience monitor. " + _NAME_THE_TRAINING,
    ConfigKind.MODEL_CONFIG: "It describes the base model. " + _NAME_THE_TRAINING,
    ConfigKind.GENERATION_CONFIG: "It says how the model generates. " + _NAME_THE_TRAINING,
    ConfigKind.TOKENIZER: _NAME_THE_TRAINING,
    ConfigKind.PROCESSOR: _NAME_THE_TRAINING,
    ConfigKind.WEIGHT_INDEX: _NAME_THE_TRAINING,
    ConfigKind.DEEPSPEED: _NOT_THE_HYPERPARAMETERS,
    ConfigKind.ACCELERATE: _NOT_THE_HYPERPARAMETERS,
    ConfigKind.FSDP: _NOT_THE_HYPERPARAMETERS,
    ConfigKind.INFERENCE: "It trains nothing. " + _NAME_THE_TRAINING,
    ConfigKind.MEGATRON_SWIFT: "This version does not read it: give its values as flags "
    "(--lr, --r, --alpha, --targets …)",
    ConfigKind.MERGEKIT: "It merges models and trains nothing. " + _NAME_THE_TRAINING,
    ConfigKind.UNKNOWN: "Give its values as flags (--lr, --r, --alpha, --targets …)",
}
"""Kinds that are not read, and what to do instead."""

READ_KINDS = frozenset(ConfigKind) - REFUSED.keys()
"""The kinds that are read; the others are refused by name."""


class _Mark(NamedTuple):
    """Keys that tell a kind: all of ``needed``, and one of ``some`` where there are any."""

    kind: ConfigKind
    needed: frozenset[str] = frozenset()
    some: frozenset[str] = frozenset()

    def fits(self, keys: frozenset[str]) -> bool:
        return self.needed <= keys and (not self.some or bool(self.some & keys))


def _mark(kind: ConfigKind, needed: str = "", some: str = "") -> _Mark:
    return _Mark(kind, frozenset(needed.split()), frozenset(some.split()))


_LLAMA_FACTORY_KEYS = (
    "finetuning_type stage template cutoff_len lora_target dataset dataset_dir quantization_bit "
    "additional_target pure_bf16 pref_beta pref_loss"
)

_FIRST_MARKS = (
    _mark(ConfigKind.PEFT, "peft_type"),
    _mark(ConfigKind.TRAINER_STATE, "log_history"),
    _mark(ConfigKind.WANDB, "", "_wandb wandb_version"),
    _mark(ConfigKind.MLX, "", "lora_parameters fine_tune_type"),
    _mark(ConfigKind.MLX, "model iters"),
    _mark(ConfigKind.MERGEKIT, "", "merge_method"),
    _mark(ConfigKind.WEIGHT_INDEX, "weight_map"),
    _mark(
        ConfigKind.DEEPSPEED,
        "",
        "zero_optimization train_micro_batch_size_per_gpu zero_allow_untested_optimizer",
    ),
    _mark(ConfigKind.ACCELERATE, "", "compute_environment distributed_type"),
    _mark(ConfigKind.MEGATRON_SWIFT, "", "train_iters tensor_model_parallel_size"),
)
"""Keys that belong to one kind alone."""

_TOOL_MARKS = (
    _mark(ConfigKind.LLAMA_FACTORY, "finetuning_type"),
    _mark(ConfigKind.LLAMA_FACTORY, "model_name_or_path", _LLAMA_FACTORY_KEYS),
    _mark(
        ConfigKind.LLAMA_FACTORY_V1,
        "model",
        "peft_config model_class train_dataset dist_config kernel_config quant_config init_config "
        "sample_backend",
    ),
    _mark(
        ConfigKind.MS_SWIFT,
        "",
        "tuner_type train_type sft_type rlhf_type swift_version tuner_backend model_id_or_path "
        "split_dataset_ratio target_regex lorap_lr_ratio quant_bits freeze_vit",
    ),
    _mark(ConfigKind.MS_SWIFT, "model lora_rank"),
    _mark(
        ConfigKind.MS_SWIFT,
        "model dataset",
        "per_device_train_batch_size learning_rate num_train_epochs target_modules",
    ),
    _mark(
        ConfigKind.AXOLOTL,
        "base_model",
        "adapter micro_batch_size datasets num_epochs learning_rate sequence_len load_in_4bit "
        "load_in_8bit lora_r rl pretraining_dataset gradient_accumulation_steps optimizer",
    ),
    _mark(
        ConfigKind.AXOLOTL,
        "",
        "micro_batch_size lora_target_linear sample_packing evals_per_epoch saves_per_epoch "
        "dataset_prepared_path sequence_len pad_to_sequence_len peft_use_dora peft_use_rslora",
    ),
    _mark(ConfigKind.BENCH, "bench_version"),
    _mark(ConfigKind.BENCH, "train lora task"),
    _mark(
        ConfigKind.TRAINING_ARGS,
        "model_name_or_path",
        "task_name train_file validation_file pad_to_max_length",
    ),
    _mark(
        ConfigKind.TRL,
        "",
        "use_peft lora_r lora_target_modules lora_task_type lora_modules_to_save dataset_mixer "
        "dataset_mixture",
    ),
    _mark(
        ConfigKind.TRL,
        "model_name_or_path",
        "learning_rate dataset_name torch_dtype dtype per_device_train_batch_size "
        "num_train_epochs max_steps load_in_4bit output_dir",
    ),
    _mark(
        ConfigKind.TRAINING_ARGS,
        "",
        "per_device_train_batch_size adam_beta1 adam_beta2 adam_epsilon num_train_epochs "
        "lr_scheduler_type max_grad_norm per_device_eval_batch_size",
    ),
    _mark(ConfigKind.PEFT, "r lora_alpha"),
)
"""Keys by tool, the most particular first."""

_MODEL_MARKS = (
    _mark(ConfigKind.MODEL_CONFIG, "architectures"),
    _mark(ConfigKind.MODEL_CONFIG, "model_type", "hidden_size transformers_version vocab_size"),
    _mark(ConfigKind.GENERATION_CONFIG, "transformers_version"),
    _mark(ConfigKind.GENERATION_CONFIG, "do_sample", "temperature top_p max_new_tokens"),
    _mark(ConfigKind.TOKENIZER, "", "tokenizer_class added_tokens_decoder added_tokens"),
    _mark(ConfigKind.PROCESSOR, "", "image_processor_type feature_extractor_type processor_class"),
)
"""Keys of the files that stand beside a model's weights."""

_SPECIAL_TOKENS = frozenset(
    "bos_token eos_token pad_token unk_token sep_token cls_token mask_token "
    "additional_special_tokens".split()
)

_TRAINS = frozenset(
    "do_train stage learning_rate per_device_train_batch_size num_train_epochs lora_rank "
    "lora_target".split()
)

_SERVES = frozenset("export_dir infer_backend adapter_name_or_path n_shot".split())

_GRADIENCE_KEYS = frozenset(
    "model_name dataset_name task_profile optimizer lora training notes extras".split()
)

_GRADIENCE_ALONE = frozenset("model_name dataset_name task_profile optimizer notes".split())

_UNSLOTH_SECTIONS: Mapping[str, frozenset[str]] = {
    "training": frozenset(
        "learning_rate training_type max_seq_length num_epochs gradient_accumulation_steps "
        "load_in_4bit random_seed".split()
    ),
    "lora": frozenset("lora_r lora_alpha lora_dropout use_loftq".split()),
}

_TORCHTUNE_TRAINS = frozenset("optimizer loss epochs dataset".split())
"""Sections and keys of which torchtune's recipes for generation and evaluation have none."""

_TORCHTUNE_SERVES = frozenset("prompt max_new_tokens tasks quantizer".split())
"""What those have instead."""

COMPONENT = "_component_"
"""What every section of a torchtune configuration names."""


def config_kind(config: Mapping[str, object]) -> ConfigKind:
    """Recognises a parsed configuration by its keys.

    Args:
        config: The top level of the file.

    Returns:
        The kind; an empty config is Gradience's own.
    """
    keys = frozenset(config)
    if any(isinstance(part, Mapping) and COMPONENT in part for part in config.values()):
        serves = keys & _TORCHTUNE_SERVES and not keys & _TORCHTUNE_TRAINS
        return ConfigKind.INFERENCE if serves else ConfigKind.TORCHTUNE
    for mark in (*_FIRST_MARKS, *_MODEL_MARKS[:1], *_TOOL_MARKS, *_MODEL_MARKS):
        if mark.fits(keys):
            return _served(mark.kind, keys)
    if _is_unsloth(config):
        return ConfigKind.UNSLOTH
    if keys & _GRADIENCE_KEYS or not keys:
        return ConfigKind.GRADIENCE
    if keys <= _SPECIAL_TOKENS:
        return ConfigKind.TOKENIZER
    if any(key.startswith("fsdp_") for key in keys):
        return ConfigKind.FSDP
    return ConfigKind.UNKNOWN


def _served(kind: ConfigKind, keys: frozenset[str]) -> ConfigKind:
    """LLaMA-Factory's files for inference and export share the keys of the training ones."""
    serves = kind is ConfigKind.LLAMA_FACTORY and keys & _SERVES and not keys & _TRAINS
    return ConfigKind.INFERENCE if serves else kind


def _is_unsloth(config: Mapping[str, object]) -> bool:
    if config.keys() & _GRADIENCE_ALONE:
        return False
    sections = {name: config.get(name) for name in _UNSLOTH_SECTIONS}
    return any(
        isinstance(section, Mapping) and section.keys() & _UNSLOTH_SECTIONS[name]
        for name, section in sections.items()
    )
