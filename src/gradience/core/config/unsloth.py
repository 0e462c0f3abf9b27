"""Unsloth studio's configurations."""

from collections.abc import Mapping

import msgspec

from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TrainingSnapshot,
)
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import (
    ALL_LINEAR,
    FULL_TYPE,
    LORA_TYPE,
    Names,
    bitsandbytes,
    data_sets,
    finetuning_type,
    module_names,
    target_modules,
)
from gradience.core.telemetry.trainer_logs import public_name

UNSLOTH = "unsloth"


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``data``."""

    dataset: Names = None


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``training``; 0 means "not this one" for epochs and steps."""

    training_type: str | None = None
    max_seq_length: int | None = None
    load_in_4bit: bool | None = None
    load_in_8bit: bool | None = None
    num_epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    warmup_steps: int | float | None = None
    warmup_ratio: float | None = None
    max_steps: int | None = None
    save_steps: int | float | None = None
    eval_steps: int | float | None = None
    weight_decay: float | None = None
    max_grad_norm: float | None = None
    random_seed: int | None = None
    packing: bool | None = None
    train_on_completions: bool | None = None
    gradient_checkpointing: bool | str | None = None
    optim: str | None = None
    lr_scheduler_type: str | None = None


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``lora``."""

    lora_r: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    target_modules: Names = None
    vision_all_linear: bool | None = None
    use_rslora: bool | None = None
    use_loftq: bool | None = None
    use_dora: bool | None = None


class UnslothConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The sections that are needed of an Unsloth studio configuration."""

    model: str | None = None
    data: Data = Data()
    training: Training = Training()
    lora: Lora = Lora()


def unsloth_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of an Unsloth studio configuration; nothing is filled in.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, UnslothConfig, place, UNSLOTH)
    config, training = taken.settings, taken.settings.training
    method = (training.training_type or LORA_TYPE).lower()
    adapts = method != FULL_TYPE
    base = bitsandbytes(four=training.load_in_4bit, eight=training.load_in_8bit, quant_type="nf4")
    bits = base.get("bits") if base else None
    named = finetuning_type(LORA_TYPE, bits if isinstance(bits, int) else None)
    return ConfigSnapshot(
        model_name=public_name(config.model),
        dataset_name=data_sets(module_names(config.data.dataset)),
        optimizer=OptimizerSnapshot(
            name=training.optim, lr=training.learning_rate, weight_decay=training.weight_decay
        ),
        lora=_lora(config.lora) if adapts else LoraSnapshot(),
        training=_training(training),
        extras=given(
            {
                "tool": UNSLOTH,
                "finetuning": named if adapts else FULL_TYPE,
                "quantization": base,
                "unread": list(taken.unread) or None,
            }
        ),
    )


def _lora(lora: Lora) -> LoraSnapshot:
    targets = target_modules(lora.target_modules)
    return LoraSnapshot(
        r=lora.lora_r,
        alpha=lora.lora_alpha,
        dropout=lora.lora_dropout,
        target_modules=ALL_LINEAR if lora.vision_all_linear and targets is None else targets,
        extras=given(
            {
                "use_rslora": lora.use_rslora,
                "use_dora": lora.use_dora,
                "init_lora_weights": "loftq" if lora.use_loftq else None,
            }
        ),
    )


def _training(training: Training) -> TrainingSnapshot:
    completions = training.train_on_completions
    return TrainingSnapshot(
        seed=training.random_seed,
        batch_size=training.batch_size,
        gradient_accumulation=training.gradient_accumulation_steps,
        max_steps=training.max_steps or None,
        epochs=training.num_epochs or None,
        extras=given(
            {
                "max_grad_norm": training.max_grad_norm,
                "warmup_steps": training.warmup_steps,
                "warmup_ratio": training.warmup_ratio,
                "lr_scheduler_type": training.lr_scheduler_type,
                "gradient_checkpointing": training.gradient_checkpointing,
                "save_steps": training.save_steps or None,
                "eval_steps": training.eval_steps or None,
                "max_length": training.max_seq_length,
                "packing": training.packing,
                "train_on_inputs": None if completions is None else not completions,
            }
        ),
    )
