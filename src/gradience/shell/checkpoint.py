"""A checkpoint's files: where they are, what their headers say, views of their tensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.checkpoint.facts import CheckpointFacts, checkpoint_facts
from gradience.core.errors import BaseModelError, ConfigError, MissingDependencyError
from gradience.shell.files import read_mapping
from gradience.shell.safetensors_file import READ_ERRORS, SafetensorsFile, open_safetensors

INDEX_SUFFIX = ".safetensors.index.json"
STEMS = ("model", "diffusion_pytorch_model")
"""How transformers and diffusers name a checkpoint's files; theirs go before other names."""
SINGLE_NAME = f"{STEMS[0]}.safetensors"
INDEX_NAME = STEMS[0] + INDEX_SUFFIX
CONFIG_NAME = "config.json"
GPTQ_CONFIG_NAME = "quantize_config.json"
ADAPTER_STEM = "adapter_model"
HUB_BLOBS = "blobs"
HEADER_LENGTH_BYTES = 8


class Checkpoint:
    """A local checkpoint in safetensors shards, mapped and not read.

    Args:
        source: A folder, or the id of a model in the local Hugging Face cache (nothing is
            downloaded).

    Raises:
        BaseModelError: There is no such checkpoint, or it has no safetensors or damaged ones.
        MissingDependencyError: The Hugging Face cache cannot be asked.
    """

    def __init__(self, source: str) -> None:
        self.folder = _locate(source)
        self.facts = _facts(self.folder)
        self._shards = {path: _open(path) for path in _shard_paths(self.folder)}
        self._places = {
            tensor.name: path for path, shard in self._shards.items() for tensor in shard.tensors
        }
        self._identities: dict[Path, str] = {}

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """The tensors of all shards."""
        return tuple(tensor for shard in self._shards.values() for tensor in shard.tensors)

    def array(self, name: str) -> NDArray[np.float32]:
        """A view of a tensor in its own dtype.

        Raises:
            BaseModelError: It cannot be read.
        """
        path = self._places[name]
        try:
            return self._shards[path].array(name)
        except READ_ERRORS as error:
            raise BaseModelError(f"{path}: tensor {name}: cannot read: {error}") from error

    def identity(self, name: str) -> str:
        """What tells the bytes of a tensor's shard from those of any other file.

        In the Hugging Face cache this is the blob's name, a hash of its content; elsewhere a hash
        of size, modification time and header.
        """
        path = self._places[name]
        if path not in self._identities:
            self._identities[path] = _identity(path)
        return self._identities[path]


def _identity(path: Path) -> str:
    blob = path.resolve()
    if path.is_symlink() and blob.parent.name == HUB_BLOBS:
        return blob.name
    stat = path.stat()
    with path.open("rb") as file:
        size = int.from_bytes(file.read(HEADER_LENGTH_BYTES), "little")
        header = file.read(min(size, stat.st_size))
    return hashlib.sha256(f"{stat.st_size}:{stat.st_mtime_ns}:".encode() + header).hexdigest()


def _open(path: Path) -> SafetensorsFile:
    try:
        return open_safetensors(path)
    except READ_ERRORS as error:
        raise BaseModelError(f"{path}: cannot read the shard: {error}") from error


def _facts(folder: Path) -> CheckpointFacts:
    return checkpoint_facts(_settings(folder / CONFIG_NAME), _settings(folder / GPTQ_CONFIG_NAME))


def _settings(path: Path) -> Mapping[str, object]:
    try:
        return read_mapping(path) if path.is_file() else {}
    except ConfigError as error:
        raise BaseModelError(str(error)) from error


def _locate(source: str) -> Path:
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists() or source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise BaseModelError(
            f"{source}: expected the folder of a base model, found "
            f"{'a file' if folder.exists() else 'nothing'}. Name the folder that holds "
            f"{SINGLE_NAME} or {INDEX_NAME}."
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingDependencyError(
            f"{source}: no such folder; looking it up in the Hugging Face cache needs "
            "huggingface_hub (pip install 'gradience[hf]'). Or name a local folder."
        ) from error
    try:
        return Path(snapshot_download(source, local_files_only=True))
    except (OSError, ValueError) as error:
        raise BaseModelError(
            f"{source}: expected a folder or a model in the local Hugging Face cache, found "
            f"neither. Download it first (hf download {source}); the audit downloads nothing."
        ) from error


def _shard_paths(folder: Path) -> tuple[Path, ...]:
    """The shards of the index, else the one file of a usual name, else all files."""
    plain = [path for path in sorted(folder.glob("*.safetensors")) if path.stem != ADAPTER_STEM]
    indices = {path.name: path for path in sorted(folder.glob(f"*{INDEX_SUFFIX}"))}
    for stem in STEMS:
        if stem + INDEX_SUFFIX in indices:
            return _indexed(indices[stem + INDEX_SUFFIX])
        if folder / f"{stem}.safetensors" in plain:
            return (folder / f"{stem}.safetensors",)
    if len(indices) == 1:
        return _indexed(*indices.values())
    if plain:
        return tuple(plain)
    inner = sorted({path.parent.name for path in folder.glob("*/*.safetensors")})
    advice = (
        f"Name one of its folders {', '.join(inner)}"
        if inner
        else "Save the base model with save_pretrained"
    )
    raise BaseModelError(
        f"{folder}: expected {SINGLE_NAME} or {INDEX_NAME}, found no safetensors. {advice}."
    )


def _indexed(index: Path) -> tuple[Path, ...]:
    try:
        content = msgspec.json.decode(index.read_bytes(), type=dict[str, object])
        shards = msgspec.convert(content.get("weight_map"), dict[str, str])
    except (OSError, msgspec.MsgspecError) as error:
        raise BaseModelError(f"{index}: expected a weight_map, found: {error}") from error
    if not shards:
        raise BaseModelError(f"{index}: expected a weight_map, found an empty one")
    return tuple(sorted({index.parent / name for name in shards.values()}))
