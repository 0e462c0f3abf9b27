"""PEFT's adapter_config.json as a snapshot."""

from collections.abc import Mapping

import attrs

from gradience.core.adapter.peft_config import PeftLoraConfig, peft_lora_config
from gradience.core.adapter.peft_methods import LORA
from gradience.core.config.leaves import DEFAULTS
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.core.telemetry.trainer_logs import public_name

PEFT = "PEFT's LoraConfig"

LORA_EXTRAS = (
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "init_lora_weights",
    "fan_in_fan_out",
    "task_type",
)
"""Adapter settings kept beside the snapshot's own fields, empty and false ones too: laid over
another configuration they say that a setting is off."""

FURTHER_EXTRAS = (
    "target_parameters",
    "layer_replication",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "trainable_token_indices",
    "lora_bias",
    "loftq_config",
)
"""Adapter settings that are kept only where they say something."""

_FIELDS: Mapping[str, str] = {
    "r": "lora.r",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "bias": "lora.bias",
}


def peft_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of an adapter_config.json; what PEFT fills in is marked as its default.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: It is no adapter's configuration, or a value does not fit.
    """
    config = peft_lora_config(raw, place)
    model = public_name(config.base_model_name_or_path)
    if config.peft_type != LORA:
        return ConfigSnapshot(model_name=model, extras={"peft_type": config.peft_type})
    lora = lora_snapshot(config)
    filled_in = _filled_in(raw, lora)
    return ConfigSnapshot(
        model_name=model, lora=lora, extras={DEFAULTS: filled_in} if filled_in else {}
    )


def lora_snapshot(config: PeftLoraConfig) -> LoraSnapshot:
    """The adapter's part of a snapshot."""
    settings = attrs.asdict(config)
    kept = {name: settings[name] for name in LORA_EXTRAS if settings[name] is not None}
    further = {**config.extras, **settings}
    kept |= {name: further[name] for name in FURTHER_EXTRAS if further.get(name)}
    return LoraSnapshot(
        r=config.r,
        alpha=config.lora_alpha,
        alpha_over_r=config.lora_alpha / config.r,
        target_modules=config.target_modules,
        dropout=config.lora_dropout,
        bias=config.bias,
        extras=kept,
    )


def _filled_in(raw: Mapping[str, object], lora: LoraSnapshot) -> dict[str, str]:
    """The dotted names of what the file does not say."""
    names = [name for key, name in _FIELDS.items() if raw.get(key) is None]
    names += [f"lora.extras.{key}" for key in lora.extras if key not in raw]
    if "lora.alpha" in names:
        names.append("lora.alpha_over_r")
    return dict.fromkeys(names, PEFT)
