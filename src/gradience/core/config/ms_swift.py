"""ms-swift's configurations: the YAML or JSON that it takes, and the args.json that it writes."""

from collections.abc import Mapping

from gradience.core.config.defaults import with_defaults
from gradience.core.config.objectives import CLASSIFICATION, DISTILLATION, DPO, PRETRAIN, REWARD
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, OptimizerSnapshot
from gradience.core.config.trainer_arguments import (
    TRAINER,
    TRAINER_EPOCHS,
    TrainerArguments,
    trainer_optimizer,
    trainer_training,
)
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import (
    ALL_LINEAR,
    EIGHT_BITS,
    FULL_TYPE,
    LORA_TYPE,
    QLORA_BITS,
    Names,
    data_sets,
    dtype_name,
    finetuning_type,
    module_names,
    quantization,
    target_modules,
)
from gradience.core.telemetry.trainer_logs import public_name

MS_SWIFT = "ms_swift"

OWNER = "ms-swift"

DEFAULTS: Mapping[str, object] = {
    "optimizer.weight_decay": 0.1,
    "training.batch_size": 1,
    "training.extras.lr_scheduler_type": "cosine",
    "training.extras.gradient_checkpointing": True,
}

RATE_DEFAULT: Mapping[str, object] = {"optimizer.lr": 1e-4}

FULL_RATE_DEFAULT: Mapping[str, object] = {"optimizer.lr": 1e-5}

LORA_DEFAULTS: Mapping[str, object] = {
    "lora.r": 8,
    "lora.alpha": 32.0,
    "lora.dropout": 0.05,
    "lora.bias": "none",
    "lora.extras.use_rslora": False,
    "lora.extras.use_dora": False,
}
"""All as in ms-swift's training and tuner arguments (3 and 4); the accumulation depends on the
number of devices and stays unknown."""

TARGETS_DEFAULT: Mapping[str, object] = {"lora.target_modules": ALL_LINEAR}
"""Of versions 3 and 4; version 2 chose by the model."""

TUNER_DEFAULT: Mapping[str, object] = {"extras.finetuning": LORA_TYPE}

_LORA_TUNERS = frozenset({LORA_TYPE, "longlora"})

_NOT_PEFT = frozenset({FULL_TYPE, "freeze", "llamapro", "adapter", "reft", "lisa"})
"""Tuners that are no PEFT type."""

_RLHF: Mapping[str, str] = {"rm": REWARD, "gkd": DISTILLATION}

_TASKS: Mapping[str, str] = {"seq_cls": CLASSIFICATION, "reranker": CLASSIFICATION}

_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}

_BY_THE_MODEL = frozenset({"default", "auto"})
"""Version 2's words for targets that the tool chooses by the model."""

_V2_KEYS: Mapping[str, str] = {
    "lora_target_modules": "target_modules",
    "lora_dropout_p": "lora_dropout",
    "lora_bias_trainable": "lora_bias",
    "lora_modules_to_save": "modules_to_save",
    "batch_size": "per_device_train_batch_size",
    "dtype": "torch_dtype",
    "quantization_bit": "quant_bits",
    "bnb_4bit_comp_dtype": "bnb_4bit_compute_dtype",
    "dataset_test_ratio": "split_dataset_ratio",
}
"""Version 2's names → those of versions 3 and 4."""


class MsSwiftConfig(TrainerArguments, frozen=True, kw_only=True):
    """ms-swift's keys beside the Trainer's, of versions 2 to 4."""

    model: str | None = None
    model_id_or_path: str | None = None
    tuner_type: str | None = None
    train_type: str | None = None
    sft_type: str | None = None
    rlhf_type: str | None = None
    loss_type: str | None = None
    task_type: str | None = None
    use_chat_template: bool | None = None
    dataset: Names = None
    split_dataset_ratio: float | None = None
    target_modules: Names = None
    target_regex: str | None = None
    target_parameters: Names = None
    modules_to_save: Names = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    lora_bias: str | None = None
    lora_dtype: str | None = None
    lorap_lr_ratio: float | None = None
    lora_lr_ratio: float | None = None
    use_rslora: bool | None = None
    use_dora: bool | None = None
    init_weights: bool | str | None = None
    init_lora_weights: bool | str | None = None
    quant_method: str | None = None
    quant_bits: int | str | None = None
    bnb_4bit_quant_type: str | None = None
    bnb_4bit_compute_dtype: str | None = None
    bnb_4bit_use_double_quant: bool | None = None
    torch_dtype: str | None = None


def ms_swift_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of an ms-swift configuration.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(_named_as_now(raw), MsSwiftConfig, place, MS_SWIFT)
    config = taken.settings
    said = config.tuner_type or config.train_type or config.sft_type
    method = (said or LORA_TYPE).lower()
    adapts = method in _LORA_TUNERS
    base = _quantization(config)
    bits = base.get("bits") if base else None
    named = finetuning_type(method, bits if isinstance(bits, int) else None)
    found = ConfigSnapshot(
        model_name=public_name(config.model or config.model_id_or_path),
        dataset_name=data_sets(name.partition("#")[0] for name in module_names(config.dataset)),
        optimizer=_optimizer(config),
        lora=_lora(config) if adapts else LoraSnapshot(),
        training=trainer_training(config, raw, _training_extras(config)),
        extras=given(
            {
                "tool": MS_SWIFT,
                "finetuning": named if said or base else None,
                "peft_type": None if adapts or method in _NOT_PEFT else method.upper(),
                "quantization": base,
                "unread": list(taken.unread) or None,
            }
        ),
    )
    weights = dtype_name(config.torch_dtype)
    if found.training.dtype is None and weights is not None:
        found = with_defaults(found, {"training.dtype": weights}, OWNER)
    rate = FULL_RATE_DEFAULT if method == FULL_TYPE else RATE_DEFAULT
    lora = LORA_DEFAULTS if adapts else {}
    targets = TARGETS_DEFAULT if adapts and config.sft_type is None else {}
    found = with_defaults(found, {**DEFAULTS, **rate, **lora, **targets, **TUNER_DEFAULT}, OWNER)
    epochs = TRAINER_EPOCHS if found.training.max_steps is None else {}
    return with_defaults(found, {"training.extras.max_grad_norm": 1.0, **epochs}, TRAINER)


def _named_as_now(raw: Mapping[str, object]) -> Mapping[str, object]:
    """The file with version 2's names replaced, where the newer ones do not stand in it."""
    named = {_V2_KEYS[key]: value for key, value in raw.items() if key in _V2_KEYS}
    return {**named, **raw}


def _targets(value: Names) -> Names:
    """The targets; None where version 2 chose them by the model."""
    named = {name.lower() for name in module_names(value)}
    return None if named & _BY_THE_MODEL else target_modules(value)


def _optimizer(config: MsSwiftConfig) -> OptimizerSnapshot:
    plain = trainer_optimizer(config)
    ratio = config.lorap_lr_ratio if config.lorap_lr_ratio is not None else config.lora_lr_ratio
    return OptimizerSnapshot(
        name=plain.name,
        lr=plain.lr,
        weight_decay=plain.weight_decay,
        betas=plain.betas,
        eps=plain.eps,
        extras={**plain.extras, **given({"loraplus_lr_ratio": ratio})},
    )


def _lora(config: MsSwiftConfig) -> LoraSnapshot:
    init = config.init_weights if config.init_weights is not None else config.init_lora_weights
    if isinstance(init, str):
        init = _BOOLEANS.get(init.lower(), init)
    return LoraSnapshot(
        r=config.lora_rank,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        bias=config.lora_bias,
        target_modules=config.target_regex or _targets(config.target_modules),
        extras=given(
            {
                "use_rslora": config.use_rslora,
                "use_dora": config.use_dora,
                "init_lora_weights": init,
                "modules_to_save": list(module_names(config.modules_to_save)) or None,
                "target_parameters": list(module_names(config.target_parameters)) or None,
            }
        ),
    )


def _training_extras(config: MsSwiftConfig) -> dict[str, object]:
    return {
        "objective": _objective(config),
        "val_set_size": config.split_dataset_ratio,
        "parameter_dtype": dtype_name(config.lora_dtype),
    }


def _objective(config: MsSwiftConfig) -> str | None:
    if config.rlhf_type is not None:
        kind = config.rlhf_type.lower()
        if kind == "cpo":
            return "simpo" if config.loss_type == "simpo" else DPO
        return _RLHF.get(kind, kind)
    if config.use_chat_template is False:
        return PRETRAIN
    return _TASKS.get(config.task_type or "")


def _quantization(config: MsSwiftConfig) -> dict[str, object] | None:
    method = config.quant_method
    word = str(config.quant_bits)
    bits = int(word) if word.isdecimal() else 0
    if bits < 1:
        return quantization(None, method)
    if method not in {None, "bnb"}:
        return quantization(bits, method)
    if bits != QLORA_BITS:
        return quantization(bits, "int8" if bits == EIGHT_BITS else None)
    double = config.bnb_4bit_use_double_quant
    return quantization(
        bits,
        config.bnb_4bit_quant_type or "nf4",
        dtype_name(config.bnb_4bit_compute_dtype),
        True if double is None else double,
    )
