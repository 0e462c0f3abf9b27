"""A configuration is recognised by its keys, a minimal one too, and never as another tool's."""

import pytest

from gradience.core.config.foreign import READ_KINDS, REFUSED, ConfigKind, config_kind


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ("peft_type r", ConfigKind.PEFT),
        ("r lora_alpha target_modules", ConfigKind.PEFT),
        ("log_history", ConfigKind.TRAINER_STATE),
        ("lora_parameters model", ConfigKind.MLX),
        ("model train data iters learning_rate", ConfigKind.MLX),
        ("model_name_or_path finetuning_type", ConfigKind.LLAMA_FACTORY),
        ("model_name_or_path dataset template learning_rate", ConfigKind.LLAMA_FACTORY),
        ("model_name_or_path stage do_train lora_rank", ConfigKind.LLAMA_FACTORY),
        ("model_name_or_path adapter_name_or_path template infer_backend", ConfigKind.INFERENCE),
        ("model_name_or_path template finetuning_type export_dir", ConfigKind.INFERENCE),
        ("model model_class train_dataset", ConfigKind.LLAMA_FACTORY_V1),
        ("model train_dataset micro_batch_size", ConfigKind.LLAMA_FACTORY_V1),
        ("model peft_config learning_rate", ConfigKind.LLAMA_FACTORY_V1),
        ("tuner_type", ConfigKind.MS_SWIFT),
        ("model dataset train_type learning_rate", ConfigKind.MS_SWIFT),
        ("model dataset learning_rate", ConfigKind.MS_SWIFT),
        ("rlhf_type model ref_model", ConfigKind.MS_SWIFT),
        ("tuner_type model train_iters micro_batch_size", ConfigKind.MEGATRON_SWIFT),
        ("base_model adapter", ConfigKind.AXOLOTL),
        ("base_model micro_batch_size", ConfigKind.AXOLOTL),
        ("base_model datasets learning_rate output_dir", ConfigKind.AXOLOTL),
        ("micro_batch_size num_epochs lora_r lora_alpha", ConfigKind.AXOLOTL),
        ("base_model models merge_method", ConfigKind.MERGEKIT),
        ("bench_version", ConfigKind.BENCH),
        ("model task train lora", ConfigKind.BENCH),
        ("model_name_or_path use_peft", ConfigKind.TRL),
        ("model_name_or_path dataset_name learning_rate", ConfigKind.TRL),
        ("load_in_4bit lora_r lora_alpha", ConfigKind.TRL),
        ("model_name_or_path task_name learning_rate", ConfigKind.TRAINING_ARGS),
        ("per_device_train_batch_size", ConfigKind.TRAINING_ARGS),
        ("learning_rate num_train_epochs output_dir", ConfigKind.TRAINING_ARGS),
        ("fsdp_transformer_layer_cls_to_wrap adam_beta1", ConfigKind.TRAINING_ARGS),
        ("architectures learning_rate max_grad_norm", ConfigKind.MODEL_CONFIG),
        ("model_type hidden_size", ConfigKind.MODEL_CONFIG),
        ("eos_token_id transformers_version", ConfigKind.GENERATION_CONFIG),
        ("tokenizer_class model_max_length", ConfigKind.TOKENIZER),
        ("bos_token eos_token", ConfigKind.TOKENIZER),
        ("image_processor_type size", ConfigKind.PROCESSOR),
        ("metadata weight_map", ConfigKind.WEIGHT_INDEX),
        ("train_batch_size zero_optimization bf16", ConfigKind.DEEPSPEED),
        ("compute_environment distributed_type num_processes", ConfigKind.ACCELERATE),
        ("fsdp_version fsdp_offload_params", ConfigKind.FSDP),
        ("learning_rate _wandb wandb_version architectures", ConfigKind.WANDB),
        ("model_name lora training", ConfigKind.GRADIENCE),
        ("optimizer", ConfigKind.GRADIENCE),
        ("", ConfigKind.GRADIENCE),
        ("colour", ConfigKind.UNKNOWN),
        ("learning_rate batch_size epochs", ConfigKind.UNKNOWN),
    ],
)
def test_keys_tell_the_tool(keys: str, kind: ConfigKind) -> None:
    assert config_kind(dict.fromkeys(keys.split())) is kind


@pytest.mark.parametrize("section", ["model", "optimizer", "loss"])
def test_a_component_in_any_section_tells_torchtune(section: str) -> None:
    assert config_kind({section: {"_component_": "x"}, "epochs": 1}) is ConfigKind.TORCHTUNE


@pytest.mark.parametrize(
    "config",
    [
        {"training": {"learning_rate": 1}},
        {"model": "m", "training": {"num_epochs": 1}, "lora": {"target_modules": "q"}},
        {"lora": {"lora_r": 8}},
    ],
)
def test_unsloths_sections_are_told_by_their_keys(config: dict[str, object]) -> None:
    assert config_kind(config) is ConfigKind.UNSLOTH


@pytest.mark.parametrize(
    "config",
    [
        {"training": {"seed": 1}, "lora": {"r": 8}},
        {"model_name": "m", "training": {"learning_rate": 1}},
        {"optimizer": {"lr": 1}, "lora": {"lora_r": 8}},
    ],
)
def test_gradiences_own_sections_are_not_taken_for_unsloths(config: dict[str, object]) -> None:
    assert config_kind(config) is ConfigKind.GRADIENCE


def test_every_kind_is_read_or_refused_with_advice() -> None:
    assert READ_KINDS | REFUSED.keys() == set(ConfigKind)
    assert not READ_KINDS & REFUSED.keys()
    assert all(len(advice) > 30 for advice in REFUSED.values())


@pytest.mark.parametrize("key", ["prompt", "tasks", "quantizer"])
def test_torchtunes_recipes_that_train_nothing_are_told_apart(key: str) -> None:
    raw = {"model": {"_component_": "x"}, key: {"_component_": "y"}}
    assert config_kind(raw) is ConfigKind.INFERENCE
    assert config_kind(raw | {"optimizer": {"_component_": "z"}}) is ConfigKind.TORCHTUNE
