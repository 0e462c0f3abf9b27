"""mlx-lm's configurations: the YAML that it takes, and the adapter_config.json that it writes."""

from collections.abc import Mapping

import msgspec

from gradience.core.config.defaults import with_defaults
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TrainingSnapshot,
)
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import FULL_TYPE, LORA_TYPE, Names, module_names
from gradience.core.telemetry.trainer_logs import public_name

MLX = "mlx_lm"

OWNER = "mlx-lm"

DEFAULTS: Mapping[str, object] = {
    "optimizer.name": "adam",
    "optimizer.lr": 1e-5,
    "training.batch_size": 4,
    "training.max_steps": 1000,
    "training.seed": 0,
    "training.extras.max_length": 2048,
}

RANK_DEFAULT: Mapping[str, object] = {"lora.r": 8}
"""Both as in mlx-lm's CONFIG_DEFAULTS; its default scale changed between versions."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``lora_parameters``."""

    rank: int | None = None
    alpha: float | None = None
    scale: float | None = None
    dropout: float | None = None
    keys: Names = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``lr_schedule``."""

    name: str | None = None
    warmup: int | None = None


class MlxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that are needed of an mlx-lm configuration."""

    model: str | None = None
    fine_tune_type: str | None = None
    optimizer: str | None = None
    optimizer_config: dict[str, object] | None = None
    learning_rate: float | None = None
    lr_schedule: Schedule = Schedule()
    batch_size: int | None = None
    grad_accumulation_steps: int | None = None
    iters: int | None = None
    seed: int | None = None
    num_layers: int | None = None
    lora_layers: int | None = None
    """The older name of ``num_layers``."""
    lora_parameters: Parameters = Parameters()
    use_dora: bool | None = None
    max_seq_length: int | None = None
    grad_checkpoint: bool | None = None
    mask_prompt: bool | None = None
    steps_per_report: int | None = None
    steps_per_eval: int | None = None
    save_every: int | None = None


def mlx_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of an mlx-lm configuration.

    mlx-lm multiplies the update by ``scale``, whatever ``alpha`` says: the snapshot's
    ``alpha_over_r`` is the scale, and its alpha follows from it.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, MlxConfig, place, MLX)
    config = taken.settings
    method = (config.fine_tune_type or LORA_TYPE).lower()
    adapts = method != FULL_TYPE
    found = ConfigSnapshot(
        model_name=public_name(config.model),
        optimizer=OptimizerSnapshot(
            name=config.optimizer, lr=config.learning_rate, weight_decay=_weight_decay(config)
        ),
        lora=_lora(config, method) if adapts else LoraSnapshot(),
        training=_training(config),
        extras=given(
            {
                "tool": MLX,
                "finetuning": LORA_TYPE if adapts else FULL_TYPE,
                "unread": list(taken.unread) or None,
            }
        ),
    )
    return with_defaults(found, {**DEFAULTS, **(RANK_DEFAULT if adapts else {})}, OWNER)


def _lora(config: MlxConfig, method: str) -> LoraSnapshot:
    parameters = config.lora_parameters
    scale, rank = parameters.scale, parameters.rank
    layers = config.num_layers if config.num_layers is not None else config.lora_layers
    return LoraSnapshot(
        r=rank,
        alpha=None if scale is None or rank is None else scale * rank,
        alpha_over_r=scale,
        dropout=parameters.dropout,
        target_modules=module_names(parameters.keys) or None,
        extras=given(
            {
                "use_dora": config.use_dora or method == "dora",
                "last_layers": layers,
                "written_alpha": parameters.alpha,
            }
        ),
    )


def _training(config: MlxConfig) -> TrainingSnapshot:
    return TrainingSnapshot(
        seed=config.seed,
        batch_size=config.batch_size,
        gradient_accumulation=config.grad_accumulation_steps,
        max_steps=config.iters,
        extras=given(
            {
                "lr_scheduler_type": config.lr_schedule.name,
                "warmup_steps": config.lr_schedule.warmup,
                "gradient_checkpointing": config.grad_checkpoint,
                "logging_steps": config.steps_per_report,
                "eval_steps": config.steps_per_eval,
                "save_steps": config.save_every,
                "max_length": config.max_seq_length,
                "train_on_inputs": None if config.mask_prompt is None else not config.mask_prompt,
            }
        ),
    )


def _weight_decay(config: MlxConfig) -> float | None:
    options = (config.optimizer_config or {}).get(config.optimizer or "")
    found = options.get("weight_decay") if isinstance(options, Mapping) else None
    return float(found) if isinstance(found, int | float) else None
