"""LLaMA-Factory's configurations; its v1 layout has a module of its own."""

from collections.abc import Mapping

from gradience.core.config.defaults import with_defaults
from gradience.core.config.objectives import PRETRAIN, REWARD, SFT
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, OptimizerSnapshot
from gradience.core.config.trainer_arguments import (
    TRAINER,
    TRAINER_RATE,
    TrainerArguments,
    trainer_defaults,
    trainer_optimizer,
    trainer_training,
)
from gradience.core.config.typed_keys import given, take
from gradience.core.config.vocabulary import (
    ALL_LINEAR,
    EIGHT_BITS,
    LORA_TYPE,
    QLORA_BITS,
    Names,
    data_sets,
    finetuning_type,
    module_names,
    quantization,
    target_modules,
)
from gradience.core.telemetry.trainer_logs import public_name

LLAMA_FACTORY = "llama_factory"

OWNER = "LLaMA-Factory"

DEFAULTS: Mapping[str, object] = {
    "training.extras.objective": SFT,
    "training.extras.max_length": 2048,
    "extras.finetuning": LORA_TYPE,
}

SFT_DEFAULTS: Mapping[str, object] = {"training.extras.train_on_inputs": False}

LORA_DEFAULTS: Mapping[str, object] = {
    "lora.r": 8,
    "lora.dropout": 0.0,
    "lora.target_modules": ALL_LINEAR,
    "lora.extras.use_rslora": False,
    "lora.extras.use_dora": False,
}
"""All as in LLaMA-Factory's FinetuningArguments and DataArguments (0.9)."""

ALPHA_DEFAULT: Mapping[str, object] = {"lora.alpha_over_r": 2.0}
"""``lora_alpha`` is twice the rank where it is not said."""

_STAGES: Mapping[str, str] = {"pt": PRETRAIN, "rm": REWARD}

_PREFERENCE_LOSSES = frozenset({"orpo", "simpo"})
"""Values of ``pref_loss`` that make stage ``dpo`` another objective."""

_BNB = frozenset({"bnb", "bitsandbytes"})

_PARTLY_READ = ("use_galore", "use_apollo", "use_badam", "use_llama_pro")
"""Switches that change what is trained or how, and that nothing here describes."""


class LlamaFactoryConfig(TrainerArguments, frozen=True, kw_only=True):
    """LLaMA-Factory's keys beside the Trainer's."""

    model_name_or_path: str | None = None
    stage: str | None = None
    finetuning_type: str | None = None
    dataset: Names = None
    cutoff_len: int | None = None
    val_size: float | None = None
    train_on_prompt: bool | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    lora_target: Names = None
    additional_target: Names = None
    loraplus_lr_ratio: float | None = None
    use_rslora: bool | None = None
    use_dora: bool | None = None
    pissa_init: bool | None = None
    pissa_iter: int | None = None
    pref_loss: str | None = None
    pure_bf16: bool | None = None
    quantization_bit: int | None = None
    quantization_method: str | None = None
    quantization_type: str | None = None
    double_quantization: bool | None = None
    ray_num_workers: int | None = None
    use_galore: bool | None = None
    use_apollo: bool | None = None
    use_badam: bool | None = None
    use_llama_pro: bool | None = None


def llama_factory_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a LLaMA-Factory configuration, its Ray examples included.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, LlamaFactoryConfig, place, LLAMA_FACTORY)
    config = taken.settings
    method = (config.finetuning_type or LORA_TYPE).lower()
    adapts = method == LORA_TYPE
    base = quantised_base(
        config.quantization_bit,
        config.quantization_method,
        config.quantization_type,
        config.double_quantization,
    )
    partly = [name for name in _PARTLY_READ if getattr(config, name)]
    named = finetuning_type(method, config.quantization_bit)
    found = ConfigSnapshot(
        model_name=public_name(config.model_name_or_path),
        dataset_name=data_sets(module_names(config.dataset)),
        optimizer=_optimizer(config),
        lora=_lora(config) if adapts else LoraSnapshot(),
        training=trainer_training(config, raw, _training_extras(config)),
        extras=given(
            {
                "tool": LLAMA_FACTORY,
                "finetuning": named if config.finetuning_type or base else None,
                "peft_type": "OFT" if method == "oft" else None,
                "quantization": base,
                "unread": [*taken.unread, *partly] or None,
            }
        ),
    )
    if config.pure_bf16:
        found = with_defaults(found, {"training.dtype": "bfloat16"}, OWNER)
    found = with_defaults(found, DEFAULTS, OWNER)
    if found.training.extras["objective"] == SFT:
        found = with_defaults(found, SFT_DEFAULTS, OWNER)
    if adapts:
        alpha = {} if config.lora_alpha is not None else ALPHA_DEFAULT
        found = with_defaults(found, {**LORA_DEFAULTS, **alpha}, OWNER)
    return with_defaults(found, {**TRAINER_RATE, **trainer_defaults(found.training)}, TRAINER)


def quantised_base(
    bits: int | None,
    method: str | None,
    kind: str | None = None,
    double_quant: bool | None = None,  # noqa: FBT001 (a setting, not a switch of this function)
) -> dict[str, object] | None:
    """What ``quantization_bit`` and its companions mean; None without it.

    bitsandbytes is the method and NF4 with double quantisation the kind where nothing is said.
    """
    if bits is None:
        return None
    if method is not None and method.lower() not in _BNB:
        return quantization(bits, method.lower())
    if bits == QLORA_BITS:
        double = True if double_quant is None else double_quant
        return quantization(bits, kind or "nf4", None, double)
    return quantization(bits, "int8" if bits == EIGHT_BITS else None)


def _optimizer(config: LlamaFactoryConfig) -> OptimizerSnapshot:
    plain = trainer_optimizer(config)
    return OptimizerSnapshot(
        name=plain.name,
        lr=plain.lr,
        weight_decay=plain.weight_decay,
        betas=plain.betas,
        eps=plain.eps,
        extras={**plain.extras, **given({"loraplus_lr_ratio": config.loraplus_lr_ratio})},
    )


def _lora(config: LlamaFactoryConfig) -> LoraSnapshot:
    init = None
    if config.pissa_init:
        steps = 16 if config.pissa_iter is None else config.pissa_iter
        init = "pissa" if steps < 0 else f"pissa_niter_{steps}"
    return LoraSnapshot(
        r=config.lora_rank,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        target_modules=target_modules(config.lora_target),
        extras=given(
            {
                "use_rslora": config.use_rslora,
                "use_dora": config.use_dora,
                "modules_to_save": list(module_names(config.additional_target)) or None,
                "init_lora_weights": init,
            }
        ),
    )


def _training_extras(config: LlamaFactoryConfig) -> dict[str, object]:
    objective = _STAGES.get(config.stage or "", config.stage)
    if objective == "dpo" and config.pref_loss in _PREFERENCE_LOSSES:
        objective = config.pref_loss
    return {
        "objective": objective,
        "max_length": config.cutoff_len,
        "val_set_size": config.val_size,
        "train_on_inputs": config.train_on_prompt,
        "parameter_dtype": "bfloat16" if config.pure_bf16 else None,
        "world_size": config.ray_num_workers,
    }
