"""The keys of an Axolotl configuration that are needed."""

import msgspec

from gradience.core.config.vocabulary import Names


class PeftSection(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``peft``."""

    weight_dtype: str | None = None
    backend: str | None = None
    loftq_config: dict[str, object] | None = None


class AxolotlConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that are needed of an Axolotl configuration."""

    base_model: str | None = None
    adapter: str | None = None
    relora: bool | None = None
    rl: str | None = None
    reward_model: bool | None = None
    process_reward_model: bool | None = None
    kd_trainer: bool | None = None
    datasets: list[object] | None = None
    pretraining_dataset: object = None
    test_datasets: list[object] | None = None
    load_in_4bit: bool | None = None
    load_in_8bit: bool | None = None
    gptq: bool | None = None
    bnb_config_kwargs: dict[str, object] | None = None
    peft: PeftSection = PeftSection()
    lora_r: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    lora_target_modules: Names = None
    lora_target_linear: bool | None = None
    lora_target_parameters: Names = None
    lora_modules_to_save: Names = None
    lora_fan_in_fan_out: bool | None = None
    lora_rank_pattern: dict[str, int] | None = None
    lora_alpha_pattern: dict[str, float] | None = None
    peft_use_dora: bool | None = None
    peft_use_rslora: bool | None = None
    peft_init_lora_weights: bool | str | None = None
    peft_layers_to_transform: list[int] | None = None
    peft_layers_pattern: list[str] | None = None
    peft_layer_replication: list[list[int]] | None = None
    peft_trainable_token_indices: list[int] | dict[str, list[int]] | None = None
    loraplus_lr_ratio: float | None = None
    embedding_lr: float | None = None
    learning_rate: float | None = None
    optimizer: str | None = None
    optim_args: str | dict[str, object] | None = None
    weight_decay: float | None = None
    adam_beta1: float | None = None
    adam_beta2: float | None = None
    adam_epsilon: float | None = None
    lr_scheduler: str | None = None
    warmup_ratio: float | None = None
    warmup_steps: int | float | None = None
    micro_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    batch_size: int | None = None
    num_epochs: float | None = None
    max_steps: int | None = None
    max_grad_norm: float | None = None
    seed: int | None = None
    bf16: bool | str | None = None
    fp16: bool | str | None = None
    bfloat16: bool | None = None
    """Weights and optimizer in bfloat16, without mixed precision."""
    float16: bool | None = None
    tf32: bool | str | None = None
    gradient_checkpointing: bool | str | None = None
    neftune_noise_alpha: float | None = None
    sequence_len: int | None = None
    sample_packing: bool | None = None
    train_on_inputs: bool | None = None
    val_set_size: float | None = None
    eval_strategy: str | bool | None = None
    eval_steps: int | float | None = None
    evals_per_epoch: int | float | None = None
    save_strategy: str | bool | None = None
    save_steps: int | float | None = None
    saves_per_epoch: int | float | None = None
    logging_steps: int | float | None = None
    load_best_model_at_end: bool | None = None
    lr_groups: object = None
    unfrozen_parameters: object = None
    optim_target_modules: object = None
