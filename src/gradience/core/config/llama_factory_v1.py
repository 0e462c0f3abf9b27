"""LLaMA-Factory's v1 layout: plugins as sections, batch sizes by its own names."""

from collections.abc import Mapping

import msgspec

from gradience.core.config.defaults import with_defaults
from gradience.core.config.llama_factory import LLAMA_FACTORY, OWNER, quantised_base
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
    finetuning_type,
    mixed_precision,
    module_names,
    target_modules,
)
from gradience.core.telemetry.trainer_logs import public_name

DEFAULTS: Mapping[str, object] = {
    "optimizer.lr": 1e-4,
    "training.batch_size": 1,
}

LORA_DEFAULTS: Mapping[str, object] = {
    "lora.r": 8,
    "lora.alpha": 16.0,
    "lora.dropout": 0.05,
    "lora.target_modules": ALL_LINEAR,
    "lora.extras.use_rslora": False,
    "lora.extras.use_dora": False,
}
"""Both as in LLaMA-Factory's v1 TrainingArguments and its PEFT plugin."""


class PeftPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``peft_config``."""

    name: str | None = None
    r: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    target_modules: Names = None
    modules_to_save: Names = None
    use_rslora: bool | None = None
    use_dora: bool | None = None


class QuantPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``quant_config``."""

    name: str | None = None
    quantization_bit: int | None = None


class LlamaFactoryV1Config(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that are needed of the v1 layout."""

    model: str | None = None
    peft_config: PeftPlugin = PeftPlugin()
    quant_config: QuantPlugin = QuantPlugin()
    train_dataset: str | None = None
    micro_batch_size: int | None = None
    global_batch_size: int | None = None
    cutoff_len: int | None = None
    learning_rate: float | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    bf16: bool | None = None
    max_grad_norm: float | None = None
    seed: int | None = None


def llama_factory_v1_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a LLaMA-Factory v1 configuration.

    ``global_batch_size`` covers all devices, whose number the file does not say: it stands in
    the extras, and the accumulation stays unknown.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    taken = take(raw, LlamaFactoryV1Config, place, LLAMA_FACTORY)
    config, plugin = taken.settings, taken.settings.peft_config
    method = _method(raw.get("peft_config"), plugin)
    bits = config.quant_config.quantization_bit
    scheme = config.quant_config.name
    base = quantised_base(bits, None if scheme == "auto" else scheme)
    adapts = method == LORA_TYPE
    found = ConfigSnapshot(
        model_name=public_name(config.model),
        dataset_name=public_name(config.train_dataset),
        optimizer=OptimizerSnapshot(lr=config.learning_rate),
        lora=_lora(plugin) if adapts else LoraSnapshot(),
        training=TrainingSnapshot(
            seed=config.seed,
            batch_size=config.micro_batch_size,
            max_steps=config.max_steps,
            epochs=config.num_train_epochs,
            dtype=mixed_precision(bf16=config.bf16, fp16=None),
            extras=given(
                {
                    "max_length": config.cutoff_len,
                    "global_batch_size": config.global_batch_size,
                    "max_grad_norm": config.max_grad_norm,
                }
            ),
        ),
        extras=given(
            {
                "tool": LLAMA_FACTORY,
                "finetuning": finetuning_type(method, bits) if method else None,
                "quantization": base,
                "unread": list(taken.unread) or None,
            }
        ),
    )
    return with_defaults(found, {**DEFAULTS, **(LORA_DEFAULTS if adapts else {})}, OWNER)


def _method(section: object, plugin: PeftPlugin) -> str | None:
    """What is trained: everything without a plugin; unknown where the section is elsewhere."""
    if isinstance(section, Mapping):
        return (plugin.name or LORA_TYPE).lower()
    return None if section else FULL_TYPE


def _lora(plugin: PeftPlugin) -> LoraSnapshot:
    return LoraSnapshot(
        r=plugin.r,
        alpha=plugin.lora_alpha,
        dropout=plugin.lora_dropout,
        target_modules=target_modules(plugin.target_modules),
        extras=given(
            {
                "use_rslora": plugin.use_rslora,
                "use_dora": plugin.use_dora,
                "modules_to_save": list(module_names(plugin.modules_to_save)) or None,
            }
        ),
    )
