"""Axolotl's configurations."""

from collections.abc import Mapping

from gradience.core.config.axolotl_keys import AxolotlConfig
from gradience.core.config.defaults import with_defaults
from gradience.core.config.objectives import DISTILLATION, PRETRAIN, REWARD, SFT
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TrainingSnapshot,
)
from gradience.core.config.trainer_arguments import TRAINER
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import (
    ALL_LINEAR,
    FULL_TYPE,
    LORA_TYPE,
    QLORA_TYPE,
    bitsandbytes,
    data_sets,
    dtype_name,
    finetuning_type,
    mixed_precision,
    module_names,
    quantization,
    target_modules,
)
from gradience.core.telemetry.trainer_logs import public_name

AXOLOTL = "axolotl"

OWNER = "Axolotl"

DEFAULTS: Mapping[str, object] = {
    "optimizer.name": "adamw_torch_fused",
    "optimizer.weight_decay": 0.0,
    "training.batch_size": 1,
    "training.gradient_accumulation": 1,
    "training.epochs": 1.0,
    "training.extras.lr_scheduler_type": "cosine",
}
"""Source: Axolotl's HyperparametersConfig; the learning rate, the rank and alpha must be given."""

LORA_DEFAULTS: Mapping[str, object] = {"lora.dropout": 0.0}

SFT_DEFAULTS: Mapping[str, object] = {"training.extras.train_on_inputs": False}

TRAINER_CLIPPING: Mapping[str, object] = {"training.extras.max_grad_norm": 1.0}
"""Axolotl hands ``max_grad_norm`` on only where it is given."""

_REINFORCED: Mapping[str, str] = {"ipo": "dpo", "dpo": "dpo", "gdpo": "grpo"}
"""Words under ``rl`` that are not themselves objectives."""

_PARTLY_READ = ("lr_groups", "unfrozen_parameters", "optim_target_modules")
"""Settings that change which weights are trained at which rate, and that nothing here describes."""


def axolotl_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of an Axolotl configuration.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, AxolotlConfig, place, AXOLOTL)
    config = taken.settings
    base = _quantization(config)
    method = (config.adapter or FULL_TYPE).lower()
    adapts = method in {LORA_TYPE, QLORA_TYPE}
    bits = base.get("bits") if base else None
    named = finetuning_type(method, bits if isinstance(bits, int) else None)
    partly = [name for name in _PARTLY_READ if getattr(config, name)]
    found = ConfigSnapshot(
        model_name=public_name(config.base_model),
        dataset_name=_data_sets(config),
        optimizer=_optimizer(config),
        lora=_lora(config) if adapts else LoraSnapshot(),
        training=_training(config),
        extras=given(
            {
                "tool": AXOLOTL,
                "finetuning": "relora" if config.relora and adapts else named,
                "peft_type": None if adapts or method == FULL_TYPE else method.upper(),
                "quantization": base,
                "unread": [*taken.unread, *partly] or None,
            }
        ),
    )
    supervised = found.training.extras["objective"] == SFT
    own = {**DEFAULTS, **(LORA_DEFAULTS if adapts else {}), **(SFT_DEFAULTS if supervised else {})}
    found = with_defaults(found, own, OWNER)
    return with_defaults(found, TRAINER_CLIPPING, TRAINER)


def _lora(config: AxolotlConfig) -> LoraSnapshot:
    linear = config.lora_target_linear
    return LoraSnapshot(
        r=config.lora_r,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        target_modules=ALL_LINEAR if linear else target_modules(config.lora_target_modules),
        extras=given(
            {
                "use_rslora": config.peft_use_rslora,
                "use_dora": config.peft_use_dora,
                "rank_pattern": config.lora_rank_pattern,
                "alpha_pattern": config.lora_alpha_pattern,
                "modules_to_save": list(module_names(config.lora_modules_to_save)) or None,
                "target_parameters": list(module_names(config.lora_target_parameters)) or None,
                "init_lora_weights": config.peft_init_lora_weights,
                "fan_in_fan_out": config.lora_fan_in_fan_out,
                "layers_to_transform": config.peft_layers_to_transform,
                "layers_pattern": config.peft_layers_pattern,
                "layer_replication": config.peft_layer_replication,
                "trainable_token_indices": config.peft_trainable_token_indices,
                "loftq_config": config.peft.loftq_config,
            }
        ),
    )


def _optimizer(config: AxolotlConfig) -> OptimizerSnapshot:
    betas = (config.adam_beta1, config.adam_beta2)
    return OptimizerSnapshot(
        name=config.optimizer,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=None if betas[0] is None or betas[1] is None else (betas[0], betas[1]),
        eps=config.adam_epsilon,
        extras=given(
            {
                "loraplus_lr_ratio": config.loraplus_lr_ratio,
                "embedding_lr": config.embedding_lr,
                "optim_args": config.optim_args,
            }
        ),
    )


def _training(config: AxolotlConfig) -> TrainingSnapshot:
    pure = "bfloat16" if config.bfloat16 else "float16" if config.float16 else None
    return TrainingSnapshot(
        seed=config.seed,
        batch_size=config.micro_batch_size,
        gradient_accumulation=_accumulation(config),
        max_steps=config.max_steps if config.max_steps and config.max_steps > 0 else None,
        epochs=config.num_epochs,
        dtype=pure or mixed_precision(bf16=config.bf16, fp16=config.fp16),
        extras=given(
            {
                "objective": _objective(config),
                "max_grad_norm": config.max_grad_norm,
                "warmup_ratio": config.warmup_ratio,
                "warmup_steps": config.warmup_steps,
                "lr_scheduler_type": config.lr_scheduler,
                "neftune_noise_alpha": config.neftune_noise_alpha,
                "gradient_checkpointing": config.gradient_checkpointing,
                "logging_steps": config.logging_steps,
                "max_length": config.sequence_len,
                "packing": config.sample_packing,
                "train_on_inputs": config.train_on_inputs,
                "val_set_size": config.val_set_size,
                "eval_strategy": _eval_strategy(config),
                "eval_steps": config.eval_steps,
                "evals_per_epoch": config.evals_per_epoch,
                "save_strategy": config.save_strategy,
                "save_steps": config.save_steps,
                "saves_per_epoch": config.saves_per_epoch,
                "load_best_model_at_end": config.load_best_model_at_end,
                "parameter_dtype": pure,
                "tf32": config.tf32,
            }
        ),
    )


def _accumulation(config: AxolotlConfig) -> int | None:
    """The accumulation, also out of the discouraged total ``batch_size``."""
    if config.gradient_accumulation_steps is None and config.batch_size is not None:
        return config.batch_size // max(config.micro_batch_size or 1, 1)
    return config.gradient_accumulation_steps


def _objective(config: AxolotlConfig) -> str:
    if config.rl is not None:
        return _REINFORCED.get(config.rl.lower(), config.rl.lower())
    if config.reward_model or config.process_reward_model:
        return REWARD
    if config.kd_trainer:
        return DISTILLATION
    entries = [entry for entry in config.datasets or () if isinstance(entry, Mapping)]
    completion = bool(entries) and all(entry.get("type") == "completion" for entry in entries)
    return PRETRAIN if config.pretraining_dataset or completion else SFT


def _eval_strategy(config: AxolotlConfig) -> str | None:
    """``no`` where nothing is held out: Axolotl does not evaluate then."""
    if not config.val_set_size and not config.test_datasets:
        return "no"
    if isinstance(config.eval_strategy, str):
        return config.eval_strategy
    return "steps" if config.eval_steps or config.evals_per_epoch else None


def _quantization(config: AxolotlConfig) -> dict[str, object] | None:
    if config.gptq:
        return quantization(None, "gptq")
    if config.peft.weight_dtype is not None:
        kind = config.peft.weight_dtype.lower()
        return quantization(8 if kind == "int8" else 4, kind)
    options = config.bnb_config_kwargs or {}
    scheme = options.get("bnb_4bit_quant_type")
    dtype = options.get("bnb_4bit_compute_dtype")
    double = options.get("bnb_4bit_use_double_quant")
    return bitsandbytes(
        four=config.load_in_4bit,
        eight=config.load_in_8bit,
        quant_type=scheme if isinstance(scheme, str) else "nf4",
        compute_dtype=dtype_name(dtype) if isinstance(dtype, str) else None,
        double_quant=double if isinstance(double, bool) else True,
    )


def _data_sets(config: AxolotlConfig) -> str | None:
    pretraining = config.pretraining_dataset
    listed = pretraining if isinstance(pretraining, list) else [pretraining]
    entries: list[object] = [*(config.datasets or ()), *listed]
    paths = [entry.get("path") if isinstance(entry, Mapping) else entry for entry in entries]
    return data_sets(path for path in paths if isinstance(path, str))
