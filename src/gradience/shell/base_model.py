"""A base model's checkpoint, read one needed weight at a time; the model is never built."""

import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.dominance.base_names import WeightNames, find_base_weight, index_names
from gradience.core.dominance.base_norms import weight_norms, weight_problem
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.errors import BaseModelError, GradienceError, MissingDependencyError
from gradience.shell.files import write_atomically
from gradience.shell.safetensors_file import READ_ERRORS, SafetensorsFile, open_safetensors

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
CACHE_VERSION = 1
START_SEED = 20240229
"""Seed of the random start vectors, so that an audit gives the same numbers every time."""


class CachedNorms(msgspec.Struct, frozen=True):
    """One entry of the norm cache."""

    sigma_max: float
    fro: float


class NormCache(msgspec.Struct, frozen=True):
    """The norm cache's file; keys are made of the shard's identity and the tensor's name."""

    version: int
    norms: dict[str, CachedNorms]


class BaseModel:
    """The weights of a local checkpoint in safetensors shards.

    Args:
        source: A folder, or the id of a model in the local Hugging Face cache (nothing is
            downloaded).
        cache: A file that keeps norms between audits; keys hold the shards' size, modification
            time and header, so another checkpoint's norms are never taken.

    Raises:
        BaseModelError: There is no such checkpoint or it has no safetensors.
    """

    def __init__(self, source: str, cache: Path | None = None) -> None:
        self.folder = _locate(source)
        self._cache_path = cache
        self._cache = _read_cache(cache)
        self._new_norms = False
        self._shards = _shards_by_name(self.folder)
        self._identities: dict[Path, str] = {}
        self._names: WeightNames = index_names(self._shards)

    def norms(self, module: str, shape: tuple[int, int]) -> BaseNorms | str:
        """Norms of the weight that a module's update is added to, or why there are none.

        Args:
            module: The module's name in the adapted model.
            shape: (d_out, d_in) of the update; the weight may be stored transposed.
        """
        name = find_base_weight(module, self._names)
        if name is None:
            return "no weight of that name in the checkpoint"
        file = self._open(self._shards[name])
        view = file.get_slice(name)
        problem = weight_problem(name, str(view.get_dtype()), tuple(view.get_shape()), shape)
        if problem is not None:
            return problem
        key = f"{self._identity(self._shards[name])}:{name}"
        cached = self._cache.get(key)
        if cached is not None:
            return BaseNorms(cached.sigma_max, cached.fro)
        norms = weight_norms(self._load(file, name), _start_vector(name, view.get_shape()[1]), name)
        if isinstance(norms, BaseNorms):
            self._cache[key] = CachedNorms(norms.sigma_max, norms.fro)
            self._new_norms = True
        return norms

    def save_cache(self) -> None:
        """Writes the norm cache, where one was asked for and something is new."""
        if self._cache_path is not None and self._new_norms:
            data = msgspec.json.encode(NormCache(CACHE_VERSION, self._cache))
            write_atomically(self._cache_path, data)

    def _open(self, path: Path) -> SafetensorsFile:
        try:
            return open_safetensors(path)
        except READ_ERRORS as error:
            raise BaseModelError(f"{path}: cannot read the shard: {error}") from error

    def _load(self, file: SafetensorsFile, name: str) -> NDArray[np.float32]:
        try:
            return np.asarray(file.get_tensor(name), dtype=np.float32)
        except READ_ERRORS as error:
            place = self._shards[name]
            raise BaseModelError(f"{place}: tensor {name}: cannot read: {error}") from error

    def _identity(self, path: Path) -> str:
        if path not in self._identities:
            stat = path.stat()
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = file.read(min(size, stat.st_size))
            text = f"{stat.st_size}:{stat.st_mtime_ns}:".encode() + header
            self._identities[path] = hashlib.sha256(text).hexdigest()[:32]
        return self._identities[path]


def _start_vector(name: str, length: int) -> NDArray[np.float64]:
    generator = np.random.default_rng([START_SEED, zlib.crc32(name.encode())])
    return generator.standard_normal(size=(length,))


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


def _shards_by_name(folder: Path) -> Mapping[str, Path]:
    index = folder / INDEX_NAME
    files = sorted(folder.glob("*.safetensors"))
    if index.is_file():
        try:
            weight_map = msgspec.json.decode(index.read_bytes(), type=dict[str, object])
            shards = msgspec.convert(weight_map.get("weight_map"), dict[str, str])
        except (OSError, msgspec.MsgspecError) as error:
            raise BaseModelError(f"{index}: expected a weight_map, found: {error}") from error
        files = sorted({folder / name for name in shards.values()})
    if not files:
        raise BaseModelError(
            f"{folder}: expected {SINGLE_NAME} or {INDEX_NAME}, found no safetensors. Save the "
            "base model with save_pretrained."
        )
    found: dict[str, Path] = {}
    for path in files:
        try:
            found.update(dict.fromkeys(open_safetensors(path).offset_keys(), path))
        except READ_ERRORS as error:
            raise BaseModelError(f"{path}: cannot read the shard: {error}") from error
    return found


def _read_cache(path: Path | None) -> dict[str, CachedNorms]:
    if path is None or not path.exists():
        return {}
    try:
        cache = msgspec.json.decode(path.read_bytes(), type=NormCache)
    except (OSError, msgspec.MsgspecError) as error:
        raise GradienceError(
            f"{path}: expected a norm cache that the audit wrote, found: {error}. Delete it, and "
            "it will be made anew."
        ) from error
    return dict(cache.norms) if cache.version == CACHE_VERSION else {}
