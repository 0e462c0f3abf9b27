"""Hugging Face's TrainingArguments, by themselves or among the keys of another tool."""

from collections.abc import Mapping

import msgspec

from gradience.core.config.objectives import trl_objective
from gradience.core.config.snapshot import ConfigSnapshot, OptimizerSnapshot, TrainingSnapshot
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import enum_value, mixed_precision

TRAINING_ARGS = "training_args"

TRAINER = "Hugging Face's TrainingArguments"

TRAINER_DEFAULTS: Mapping[str, object] = {
    "optimizer.name": "adamw_torch",
    "optimizer.weight_decay": 0.0,
    "training.batch_size": 8,
    "training.gradient_accumulation": 1,
    "training.extras.max_grad_norm": 1.0,
    "training.extras.lr_scheduler_type": "linear",
    "training.extras.eval_strategy": "no",
}
"""What the Trainer does where nothing is said, beside :data:`TRAINER_RATE` and
:data:`TRAINER_EPOCHS` (source: the transformers package, 5.23, and 4 before it; the fused form of
AdamW, which newer versions prefer, is the same optimizer)."""

TRAINER_RATE: Mapping[str, object] = {"optimizer.lr": 5e-5}

TRAINER_EPOCHS: Mapping[str, object] = {"training.epochs": 3.0}
"""Holds only where ``max_steps`` does not decide."""

MAX_GRAD_NORM = "max_grad_norm"
"""Of the arguments the one whose ``null`` says something: the Trainer does not clip then."""

_EXTRAS = (
    MAX_GRAD_NORM,
    "warmup_ratio",
    "warmup_steps",
    "lr_scheduler_type",
    "label_smoothing_factor",
    "neftune_noise_alpha",
    "gradient_checkpointing",
    "group_by_length",
    "logging_steps",
    "logging_nan_inf_filter",
    "eval_strategy",
    "eval_steps",
    "save_strategy",
    "save_steps",
    "load_best_model_at_end",
    "packing",
    "assistant_only_loss",
    "completion_only_loss",
    "tf32",
    "full_determinism",
)
"""Arguments kept beside the snapshot's own fields: settings that shape the run, none that names a
person, a machine, a path or an account."""


class TrainerArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of TrainingArguments and TRL's subclasses; None where the file is silent."""

    learning_rate: float | None = None
    weight_decay: float | None = None
    adam_beta1: float | None = None
    adam_beta2: float | None = None
    adam_epsilon: float | None = None
    optim: str | None = None
    optim_args: str | dict[str, object] | None = None
    per_device_train_batch_size: int | None = None
    gradient_accumulation_steps: int | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    seed: int | None = None
    bf16: bool | str | None = None
    fp16: bool | str | None = None
    max_grad_norm: float | None = None
    warmup_ratio: float | None = None
    warmup_steps: int | float | None = None
    lr_scheduler_type: str | None = None
    label_smoothing_factor: float | None = None
    neftune_noise_alpha: float | None = None
    gradient_checkpointing: bool | str | None = None
    group_by_length: bool | None = None
    logging_steps: int | float | None = None
    logging_nan_inf_filter: bool | None = None
    eval_strategy: str | bool | None = None
    evaluation_strategy: str | bool | None = None
    """The older name of ``eval_strategy``."""
    eval_steps: int | float | None = None
    save_strategy: str | bool | None = None
    save_steps: int | float | None = None
    load_best_model_at_end: bool | None = None
    max_length: int | None = None
    max_seq_length: int | None = None
    """TRL's older name of ``max_length``."""
    packing: bool | str | None = None
    assistant_only_loss: bool | None = None
    completion_only_loss: bool | None = None
    tf32: bool | None = None
    full_determinism: bool | None = None


def training_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of TrainingArguments.to_dict(): what it says, and nothing filled in.

    Args:
        raw: The arguments by name.
        place: Where they come from, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, TrainerArguments, place, TRAINING_ARGS)
    unread = {"unread": list(taken.unread)} if taken.unread else {}
    return ConfigSnapshot(
        optimizer=trainer_optimizer(taken.settings),
        training=trainer_training(taken.settings, raw, {"objective": trl_objective(raw)}),
        extras=unread,
    )


def trainer_optimizer(args: TrainerArguments) -> OptimizerSnapshot:
    """The optimizer's part of a snapshot."""
    betas = (args.adam_beta1, args.adam_beta2)
    return OptimizerSnapshot(
        name=enum_value(args.optim),
        lr=args.learning_rate,
        weight_decay=args.weight_decay,
        betas=None if betas[0] is None or betas[1] is None else (betas[0], betas[1]),
        eps=args.adam_epsilon,
        extras=given({"optim_args": args.optim_args}),
    )


def trainer_training(
    args: TrainerArguments, raw: Mapping[str, object], extras: Mapping[str, object]
) -> TrainingSnapshot:
    """The training part of a snapshot.

    Args:
        args: The arguments.
        raw: The file's top level, which tells ``max_grad_norm: null`` from no word of it.
        extras: Further extras of the tool; None means unknown.
    """
    found = given({name: getattr(args, name) for name in _EXTRAS})
    if MAX_GRAD_NORM in raw and raw[MAX_GRAD_NORM] is None:
        found[MAX_GRAD_NORM] = None
    found |= given({"eval_strategy": strategy(args.eval_strategy, args.evaluation_strategy)})
    found |= given({"save_strategy": strategy(args.save_strategy)})
    found |= given({"lr_scheduler_type": enum_value(args.lr_scheduler_type)})
    found |= given({"max_length": args.max_length or args.max_seq_length, **extras})
    return TrainingSnapshot(
        seed=args.seed,
        batch_size=args.per_device_train_batch_size,
        gradient_accumulation=args.gradient_accumulation_steps,
        max_steps=args.max_steps if args.max_steps and args.max_steps > 0 else None,
        epochs=args.num_train_epochs,
        dtype=mixed_precision(bf16=args.bf16, fp16=args.fp16),
        extras=found,
    )


def strategy(*values: str | bool | None) -> str | None:
    """The first strategy that is said: YAML reads an unquoted ``no`` as false."""
    said = next((value for value in values if value is not None), None)
    return "no" if said is False else enum_value(said) if isinstance(said, str) else None


def trainer_defaults(training: TrainingSnapshot) -> dict[str, object]:
    """The Trainer's defaults beside its rate; its three epochs only without ``max_steps``."""
    steps_decide = training.max_steps is not None
    return {**TRAINER_DEFAULTS, **({} if steps_decide else TRAINER_EPOCHS)}
