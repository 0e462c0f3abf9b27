"""From the Trainer's arguments and the model to a run's configuration; nothing private."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Protocol, cast, runtime_checkable

import msgspec
import torch
from transformers import TrainingArguments

from gradience import __version__
from gradience.core.config.readers import overlay, peft_snapshot, training_snapshot
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import ConfigError
from gradience.core.telemetry.payload import plain_mapping
from gradience.core.telemetry.text_policy import TextPolicy
from gradience.core.telemetry.trainer_logs import public_name
from gradience.shell.trainer.settings import GradienceCallbackConfig

PACKAGES = ("accelerate", "bitsandbytes", "peft", "torch", "transformers", "trl")
"""Packages whose versions are recorded where they are installed."""

QUANTISATION_KEYS = (
    "quant_method",
    "load_in_4bit",
    "load_in_8bit",
    "bnb_4bit_quant_type",
    "bnb_4bit_compute_dtype",
    "bnb_4bit_use_double_quant",
    "bits",
    "group_size",
    "desc_act",
    "sym",
)
"""Settings of a quantised base model that are recorded (bitsandbytes, GPTQ, AWQ)."""


_AS_GIVEN = TextPolicy(allow_text=True)
"""A path that is redacted has no last component left."""


@runtime_checkable
class _HasToDict(Protocol):
    """A configuration object of transformers or PEFT."""

    def to_dict(self) -> Mapping[str, object]:
        """The configuration as plain data."""


def config_snapshot(
    args: TrainingArguments, model: object, settings: GradienceCallbackConfig
) -> ConfigSnapshot:
    """The configuration of a Trainer run: arguments, adapter, and what the user named.

    Args:
        args: The Trainer's arguments; only settings that shape the run are taken.
        model: The model, with or without an adapter.
        settings: The callback's settings.

    Returns:
        The snapshot; local paths are cut to their last component. Text is as it was given:
        whoever writes the snapshot applies the run's policy.
    """
    raw = plain_mapping(_as_dict(args), _AS_GIVEN)
    snapshot = overlay(training_snapshot(raw, "TrainingArguments"), _adapter(model))
    named = public_name(settings.model_name) or public_name(snapshot.model_name)
    return msgspec.structs.replace(
        snapshot,
        model_name=named or public_name(_model_name(model)),
        dataset_name=public_name(settings.dataset_name),
        task_profile=settings.task_profile,
        notes=settings.notes,
    )


def run_meta(args: TrainingArguments, model: object) -> dict[str, object]:
    """The environment of a run: versions, device kind, parameter counts, quantisation.

    Returns:
        Nothing that names a machine, a person or a path.
    """
    meta: dict[str, object] = {
        "framework": "huggingface",
        "versions": {"gradience": __version__, "python": platform.python_version(), **_versions()},
        "device": args.device.type,
        "world_size": args.world_size,
    }
    if isinstance(model, torch.nn.Module):
        parameters = list(model.parameters())
        meta["parameters"] = sum(p.numel() for p in parameters)
        meta["trainable_parameters"] = sum(p.numel() for p in parameters if p.requires_grad)
    quantisation = _quantisation(model)
    if quantisation:
        meta["quantization"] = quantisation
    return meta


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _adapter(model: object) -> ConfigSnapshot:
    configs = getattr(model, "peft_config", None)
    if not isinstance(configs, Mapping) or not configs:
        return ConfigSnapshot()
    active = getattr(model, "active_adapter", None)
    config = configs.get(active) if isinstance(active, str) else None
    config = config or next(iter(configs.values()))
    raw = plain_mapping(_as_dict(config), _AS_GIVEN)
    try:
        return peft_snapshot(raw, "PEFT config")
    except ConfigError:
        return ConfigSnapshot(extras={"peft_type": raw.get("peft_type")})


def _model_name(model: object) -> str | None:
    config = getattr(model, "config", None)
    name = getattr(config, "_name_or_path", None) or getattr(config, "model_type", None)
    return name if isinstance(name, str) else None


def _quantisation(model: object) -> dict[str, object]:
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if config is None:
        return {}
    raw = plain_mapping(_as_dict(config), TextPolicy())
    found = {key: raw[key] for key in QUANTISATION_KEYS if raw.get(key) is not None}
    if "bits" not in found:
        for key, bits in (("load_in_4bit", 4), ("load_in_8bit", 8)):
            if found.get(key):
                found["bits"] = bits
    return found


def _as_dict(config: object) -> Mapping[str, object]:
    if isinstance(config, Mapping):
        return cast("Mapping[str, object]", config)
    return config.to_dict() if isinstance(config, _HasToDict) else {}
