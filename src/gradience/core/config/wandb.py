"""Weights & Biases' config.yaml: each setting under ``value``, the Trainer's among the model's."""

from collections.abc import Mapping

from gradience.core.config.overlay import overlay
from gradience.core.config.peft_reader import peft_snapshot
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.trainer_arguments import training_snapshot
from gradience.core.errors import ConfigError
from gradience.core.telemetry.trainer_logs import public_name

WANDB = "wandb"

_ADAPTER = "peft_config"

_ACTIVE = "default"
"""PEFT's name of the adapter where nothing else is said."""


def wandb_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of the config.yaml that Weights & Biases keeps of a Hugging Face run.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit, or no training arguments are in it.
    """
    flat = {key: _value(item) for key, item in raw.items()}
    if "per_device_train_batch_size" not in flat and "learning_rate" not in flat:
        raise ConfigError(
            f"{place}: expected the training arguments of a Hugging Face run, found a Weights & "
            "Biases config without them. Name training_args.json, or give the values as flags "
            "(--lr, --r, --alpha, --targets …)."
        )
    name = flat.get("_name_or_path") or flat.get("model_name_or_path")
    found = overlay(
        training_snapshot(flat, place),
        ConfigSnapshot(
            model_name=public_name(name) if isinstance(name, str) else None,
            extras={"tool": WANDB},
        ),
    )
    adapter = _active_adapter(flat)
    return overlay(found, peft_snapshot(adapter, place)) if adapter else found


def _value(item: object) -> object:
    return item["value"] if isinstance(item, Mapping) and "value" in item else item


def _active_adapter(flat: Mapping[str, object]) -> Mapping[str, object] | None:
    adapters = flat.get(_ADAPTER)
    if not isinstance(adapters, Mapping):
        return None
    found = adapters.get(_ACTIVE, next(iter(adapters.values()), None))
    return found if isinstance(found, Mapping) and "peft_type" in found else None
