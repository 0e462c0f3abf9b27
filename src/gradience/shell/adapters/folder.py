"""Finds the files of a PEFT adapter."""

from pathlib import Path

from gradience.core.adapter.layouts import PEFT_LAYOUT, layout_name
from gradience.core.adapter.peft_config import PeftLoraConfig, peft_lora_config, require_lora
from gradience.core.config.foreign import ConfigKind, config_kind
from gradience.core.errors import AdapterError, UnsupportedAdapterError
from gradience.shell.adapters.weights import open_weights
from gradience.shell.configs import ADAPTER_CONFIG
from gradience.shell.files import read_mapping

WEIGHT_NAMES = ("adapter_model.safetensors", "adapter_model.bin")
"""In the order in which PEFT prefers them."""


def find_config(folder: Path, config: Path | None = None) -> Path:
    """An adapter's configuration file.

    Args:
        folder: The adapter's folder.
        config: The configuration file, where it lies elsewhere.

    Returns:
        The file; it exists.

    Raises:
        AdapterError: There is none; without it the scale of the update is unknown.
        UnsupportedAdapterError: The folder holds a LoRA of a layout that is not read yet.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise AdapterError(f"{folder}: expected an adapter's folder, found {found}.")
    path = config or folder / ADAPTER_CONFIG
    if path.is_file():
        return path
    _refuse_other_layout(folder)
    raise AdapterError(
        f"{path}: expected the adapter's configuration, found nothing; without it the scale "
        "of the update is unknown. Name it with --adapter-config."
    )


def find_weights(folder: Path, weights: Path | None = None) -> Path:
    """An adapter's weight file.

    Args:
        folder: The adapter's folder.
        weights: The weight file, where it lies elsewhere.

    Returns:
        The file.

    Raises:
        AdapterError: There is none.
        UnsupportedAdapterError: The folder holds a LoRA of a layout that is not read yet.
    """
    if weights is not None:
        return weights
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    _refuse_other_layout(folder)
    names = sorted(entry.name for entry in folder.iterdir())[:8]
    raise AdapterError(
        f"{folder}: expected {' or '.join(WEIGHT_NAMES)}, found {', '.join(names) or 'nothing'}. "
        "Save the adapter with save_pretrained, or name the file with --weights."
    )


def load_adapter_config(path: Path) -> PeftLoraConfig:
    """Reads an adapter_config.json whose update is a low-rank product.

    Raises:
        ConfigError: The file is damaged or a value does not fit.
        UnsupportedAdapterError: The adapter has no low-rank update of its own, its factors hold
            part of the base weight, or its layout is not read yet; the message names which.
    """
    raw = read_mapping(path)
    if config_kind(raw) is ConfigKind.MLX:
        raise UnsupportedAdapterError(
            f"{path}: expected a PEFT adapter, found an mlx-lm adapter, a layout that this version "
            "does not read yet."
        )
    return require_lora(peft_lora_config(raw, str(path)), str(path))


def _refuse_other_layout(folder: Path) -> None:
    for path in sorted(folder.glob("*.safetensors")):
        layout = layout_name([tensor.name for tensor in open_weights(path).tensors])
        if layout.startswith(PEFT_LAYOUT):
            continue
        raise UnsupportedAdapterError(
            f"{path}: expected a PEFT adapter ({ADAPTER_CONFIG} and {WEIGHT_NAMES[0]}), found "
            f"{layout}, which this version does not read yet."
        )
