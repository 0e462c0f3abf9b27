"""A model's config.json on this machine: at a path or in the Hugging Face cache."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from gradience.core.architecture.build import build_architecture, is_described
from gradience.core.architecture.modules import Architecture
from gradience.core.errors import ConfigError
from gradience.core.telemetry.trainer_logs import public_name
from gradience.shell.files import read_mapping

MODEL_CONFIG = "config.json"
LARGEST_CONFIG_BYTES = 16 * 1024 * 1024
"""A larger file is none; those with the longest lists of labels have some 2 MB."""

_HUB_ID = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?")
_CACHE_VARIABLES = (
    ("HF_HUB_CACHE", ""),
    ("HUGGINGFACE_HUB_CACHE", ""),
    ("HF_HOME", "hub"),
    ("XDG_CACHE_HOME", "huggingface/hub"),
)
"""Where huggingface_hub keeps its cache, first set variable first."""


def load_architecture(name: str, task_type: str | None = None) -> Architecture | str:
    """The modules of a model, from its config.json alone; nothing is downloaded.

    Where the model type is not described and transformers is installed, the model is built
    without memory for its weights, from transformers' own classes only.

    Args:
        name: A config.json, a folder with one, or the id of a model in the Hugging Face cache.
        task_type: The adapter's ``task_type``.

    Returns:
        The architecture, or why it is not known.
    """
    shown = public_name(name) or name
    path = find_model_config(name)
    if path is None:
        return (
            f"no {MODEL_CONFIG} of {shown} on this machine, so its modules are not known. Name "
            "the file or its folder as the model; nothing is downloaded."
        )
    try:
        config = _read(path)
    except ConfigError as error:
        return f"{shown}: {str(error).removeprefix(f'{path}: ')}"
    if is_described(config):
        return build_architecture(config, task_type)
    if not (find_spec("transformers") and find_spec("torch")):
        unknown = build_architecture(config, task_type)
        return f"{unknown}; where transformers is installed, it is asked"
    from gradience.shell.meta_model import meta_architecture

    return meta_architecture(config, task_type)


def find_model_config(name: str) -> Path | None:
    """The config.json that a name stands for, or None.

    Args:
        name: As for :func:`load_architecture`.
    """
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return path
        if path.is_dir():
            return _if_file(path / MODEL_CONFIG)
    except (OSError, RuntimeError, ValueError):
        return None
    return _cached(name) if _HUB_ID.fullmatch(name) else None


def _read(path: Path) -> Mapping[str, object]:
    if path.suffix != ".json" or path.stat().st_size > LARGEST_CONFIG_BYTES:
        raise ConfigError(f"expected a {MODEL_CONFIG} or the folder of a model")
    return read_mapping(path)


def _cached(name: str) -> Path | None:
    """The config.json of the cached main revision, else that of the latest one."""
    repository = hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        revision = ""
    snapshots = repository / "snapshots"
    if revision and (found := _if_file(snapshots / revision / MODEL_CONFIG)):
        return found
    try:
        files = [path for path in snapshots.glob(f"*/{MODEL_CONFIG}") if path.is_file()]
        return max(files, key=lambda path: path.stat().st_mtime, default=None)
    except OSError:
        return None


def hub_cache() -> Path:
    """The folder of huggingface_hub's cache, found as it does, without importing it."""
    for variable, folder in _CACHE_VARIABLES:
        value = os.environ.get(variable)
        if value:
            return Path(value).expanduser() / folder
    return Path("~/.cache/huggingface/hub").expanduser()


def _if_file(path: Path) -> Path | None:
    return path if path.is_file() else None
