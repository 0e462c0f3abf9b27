"""torchtune's configurations: sections with a ``_component_``, and references between them."""

from collections.abc import Mapping

from gradience.core.config.defaults import with_defaults
from gradience.core.config.interpolation import interpolated
from gradience.core.config.objectives import DISTILLATION, DPO, PRETRAIN, SFT
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TrainingSnapshot,
)
from gradience.core.config.torchtune_keys import Model, TorchtuneConfig
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import (
    FULL_TYPE,
    LORA_TYPE,
    QLORA_BITS,
    QLORA_TYPE,
    data_sets,
    dtype_name,
    module_names,
    quantization,
)
from gradience.core.telemetry.trainer_logs import public_name

TORCHTUNE = "torchtune"

DEFAULTS: Mapping[str, object] = {
    "training.gradient_accumulation": 1,
    "training.extras.max_grad_norm": None,
}
"""Without ``clip_grad_norm`` the recipes do not clip."""

LORA_DEFAULTS: Mapping[str, object] = {"lora.r": 8, "lora.alpha": 16.0}
"""Of torchtune's LoRA model builders; their dropout differs from model to model."""

CLIPPING = "clip_grad_norm"
"""Its ``null`` says that gradients are not clipped."""

ATTENTION_NAMES: Mapping[str, str] = {"output_proj": "o_proj"}
"""Hugging Face's names for torchtune's attention projections; the others are the same."""

SCHEDULERS: Mapping[str, str] = {"get_cosine_schedule_with_warmup": "cosine"}
"""Hugging Face's names for torchtune's schedules."""

MLP_NAMES = ("gate_proj", "up_proj", "down_proj")

OUTPUT_NAME = "lm_head"

META_FOLDER = "/original"

_LOSSES: tuple[tuple[str, str], ...] = (
    ("dpo", DPO),
    ("rso", DPO),
    ("simpo", "simpo"),
    ("grpo", "grpo"),
    ("ppo", "ppo"),
    ("kl", DISTILLATION),
    ("kd", DISTILLATION),
    ("crossentropy", SFT),
    ("cewith", SFT),
)
"""What the name of a loss component holds, in small letters, and its objective."""


def torchtune_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a torchtune configuration.

    Target modules stand under Hugging Face's names, torchtune's own words beside them.
    ``max_steps`` is the cap of the whole run: ``max_steps_per_epoch`` times the epochs.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(_one_data_set(interpolated(raw)), TorchtuneConfig, place, TORCHTUNE)
    config, model = taken.settings, taken.settings.model
    component = _last_name(model.component) or ""
    adapts = component.startswith(("lora_", "qlora_")) or model.lora_rank is not None
    quantised = adapts and (component.startswith("qlora_") or bool(model.quantize_base))
    dtype = dtype_name(config.dtype)
    found = ConfigSnapshot(
        model_name=_model_name(config, component),
        dataset_name=data_sets([config.dataset.source or _last_name(config.dataset.component)]),
        optimizer=OptimizerSnapshot(
            name=_last_name(config.optimizer.component),
            lr=config.optimizer.lr,
            weight_decay=config.optimizer.weight_decay,
            betas=config.optimizer.betas,
            eps=config.optimizer.eps,
        ),
        lora=_lora(model) if adapts else LoraSnapshot(),
        training=_training(config, raw, dtype),
        extras=given(
            {
                "tool": TORCHTUNE,
                "finetuning": QLORA_TYPE if quantised else LORA_TYPE if adapts else FULL_TYPE,
                "quantization": quantization(QLORA_BITS, "nf4", dtype) if quantised else None,
                "quantization_aware": _last_name(config.quantizer.component),
                "unread": list(taken.unread) or None,
            }
        ),
    )
    return with_defaults(found, {**DEFAULTS, **(LORA_DEFAULTS if adapts else {})}, TORCHTUNE)


def _lora(model: Model) -> LoraSnapshot:
    attention = module_names(model.lora_attn_modules)
    targets = tuple(ATTENTION_NAMES.get(name, name) for name in attention)
    targets += MLP_NAMES if model.apply_lora_to_mlp else ()
    targets += (OUTPUT_NAME,) if model.apply_lora_to_output else ()
    return LoraSnapshot(
        r=model.lora_rank,
        alpha=model.lora_alpha,
        dropout=model.lora_dropout,
        target_modules=targets or None,
        extras=given(
            {
                "use_dora": model.use_dora,
                "lora_attn_modules": list(attention) or None,
                "apply_lora_to_mlp": model.apply_lora_to_mlp,
                "apply_lora_to_output": model.apply_lora_to_output,
            }
        ),
    )


def _training(
    config: TorchtuneConfig, raw: Mapping[str, object], dtype: str | None
) -> TrainingSnapshot:
    cap = config.max_steps_per_epoch
    scheduler = _last_name(config.lr_scheduler.component) or ""
    unclipped = CLIPPING in raw and raw[CLIPPING] is None
    return TrainingSnapshot(
        seed=config.seed,
        batch_size=config.batch_size,
        gradient_accumulation=config.gradient_accumulation_steps,
        max_steps=_whole_run(cap, config.epochs),
        epochs=config.epochs,
        dtype=dtype,
        extras=given(
            {
                "objective": _objective(config),
                "max_grad_norm": config.clip_grad_norm,
                "lr_scheduler_type": SCHEDULERS.get(scheduler, scheduler) or None,
                "warmup_steps": config.lr_scheduler.num_warmup_steps,
                "gradient_checkpointing": config.enable_activation_checkpointing,
                "logging_steps": config.log_every_n_steps,
                "eval_steps": config.run_val_every_n_steps,
                "max_length": config.tokenizer.max_seq_len,
                "packing": config.dataset.packed,
                "train_on_inputs": config.dataset.train_on_input,
                "parameter_dtype": dtype,
            }
        )
        | ({"max_grad_norm": None} if unclipped else {}),
    )


def _whole_run(cap: int | None, epochs: float | None) -> int | None:
    if cap is None or cap < 1 or epochs is None or not epochs < float("inf"):
        return None
    return int(cap * epochs)


def _objective(config: TorchtuneConfig) -> str | None:
    if config.teacher_model.component or config.kd_loss.component:
        return DISTILLATION
    loss = (_last_name(config.loss.component) or "").lower()
    found = next((objective for part, objective in _LOSSES if part in loss), None)
    if found is None and config.num_generations is not None:
        return "grpo"
    if found == SFT and "text_completion" in (config.dataset.component or ""):
        return PRETRAIN
    return found


def _model_name(config: TorchtuneConfig, component: str) -> str | None:
    """The folder of the checkpoint, else the model that the builder's name ends in.

    Meta's own weights stand in ``original`` below the model's folder.
    """
    folder = config.checkpointer.checkpoint_dir
    if folder is not None:
        return public_name(folder.rstrip("/").removesuffix(META_FOLDER))
    return component.removeprefix("q").removeprefix("lora_") or None


def _last_name(component: str | None) -> str | None:
    return component.rsplit(".", 1)[-1] if component else None


def _one_data_set(raw: Mapping[str, object]) -> Mapping[str, object]:
    """A list of data sets counts by its first."""
    listed = raw.get("dataset")
    if not isinstance(listed, list):
        return raw
    return {**raw, "dataset": listed[0] if listed else None}
