"""Finds the files of an adapter, whichever tool wrote them."""

from collections.abc import Mapping
from pathlib import Path

import attrs

from gradience.core.adapter.peft_config import ADAPTER_CONFIG
from gradience.core.adapter.peft_methods import require_low_rank
from gradience.core.errors import AdapterError
from gradience.shell.files import read_mapping

PEFT_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
"""In the order in which PEFT prefers them."""

WEIGHT_NAMES = (
    *PEFT_WEIGHTS,
    "adapters.safetensors",
    "pytorch_lora_weights.safetensors",
    "pytorch_lora_weights.bin",
)
"""PEFT's names, mlx-lm's and diffusers'."""

NAMES_SHOWN = 8
"""Names of a folder's files that a message lists."""


@attrs.frozen
class AdapterPlace:
    """Where an adapter's files are."""

    folder: Path
    config: Path | None
    """Its adapter_config.json, where it has one."""
    weights: Path

    @property
    def twin(self) -> Path | None:
        """PEFT's .bin beside the .safetensors."""
        first, second = PEFT_WEIGHTS
        path = self.weights.with_name(second)
        return path if self.weights.name == first and path.is_file() else None


def find_adapter(
    place: Path, config: Path | None = None, weights: Path | None = None
) -> AdapterPlace:
    """An adapter's files.

    Args:
        place: The adapter's folder, or its weight file.
        config: The configuration file, where it lies elsewhere.
        weights: The weight file, where it lies elsewhere.

    Returns:
        The files; they exist, but for one named by ``weights``.

    Raises:
        AdapterError: There is nothing there, no weight file, or several to choose from.
        ConfigError: The configuration does not parse.
        UnsupportedAdapterError: The configuration names a method without a low-rank update.
    """
    if not place.exists():
        raise AdapterError(f"{place}: expected an adapter's folder or weight file, found nothing.")
    folder = place if place.is_dir() else place.parent
    found = find_config(folder, config)
    if found is not None:
        raw = read_mapping(found)
        kind = raw.get("peft_type")
        if isinstance(kind, str):
            require_low_rank(kind.upper(), str(found))
    if weights is None:
        weights = place if place.is_file() else _find_weights(folder)
    return AdapterPlace(folder, found, weights)


def find_config(folder: Path, config: Path | None = None) -> Path | None:
    """The configuration that was named, else the folder's own, else None.

    Raises:
        AdapterError: The one that was named is not there.
    """
    if config is not None and not config.is_file():
        raise AdapterError(
            f"{config}: expected the adapter's configuration, found nothing. Name the "
            f"{ADAPTER_CONFIG} that the adapter was saved with."
        )
    path = config or folder / ADAPTER_CONFIG
    return path if path.is_file() else None


def read_config(path: Path | None) -> Mapping[str, object] | None:
    """The configuration's content, unread; None without one."""
    return None if path is None else read_mapping(path)


def _find_weights(folder: Path) -> Path:
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("*.safetensors"))
    if len(others) == 1:
        return others[0]
    names = sorted(entry.name for entry in folder.iterdir())[:NAMES_SHOWN]
    found = f"{len(others)} safetensors files" if others else ", ".join(names) or "nothing"
    inside = sorted(file.parent.name for name in WEIGHT_NAMES for file in folder.glob(f"*/{name}"))
    remedy = (
        f"Adapters lie in its folders {', '.join(inside[:NAMES_SHOWN])}: name one of them."
        if inside
        else "Save the adapter with save_pretrained, or name the file with --weights."
    )
    raise AdapterError(f"{folder}: expected {' or '.join(PEFT_WEIGHTS)}, found {found}. {remedy}")
