"""Adapters at an address: the configuration and the weights are fetched, and nothing else."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gradience.core.adapter.peft_config import ADAPTER_CONFIG
from gradience.core.errors import AdapterError, GradienceError, MissingDependencyError
from gradience.shell.adapters.folder import WEIGHT_NAMES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)

WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt")


@contextmanager
def local_adapter(address: str) -> Iterator[Path]:
    """A local path of an adapter, for the time of the block.

    Args:
        address: A path, which is given back as it is, or an address that fsspec opens: of a folder
            or of a weight file. ``hf://owner/name[@revision]`` is a model on the Hub.

    Yields:
        The folder or file.

    Raises:
        MissingDependencyError: fsspec or the file system's own package is not installed.
        AdapterError: There is nothing at the address, or it cannot be reached.
    """
    if not _ADDRESS.match(address):
        yield Path(address)
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="gradience-") as folder:
        local = _fetch(address, Path(folder))
        try:
            yield local
        except GradienceError as error:  # says where by a path that is gone when it is read
            place = address if local.is_dir() else address.rpartition("/")[0]
            error.args = (str(error).replace(folder, place.rstrip("/")),)
            raise


def _fetch(address: str, folder: Path) -> Path:
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependencyError(
            f"{address}: reading an address needs fsspec (pip install 'gradience[remote]')."
        ) from error
    try:
        files, path = fsspec.core.url_to_fs(address)
        names = _wanted(files, path)
        for name in names:
            files.get_file(name, str(folder / name.rpartition("/")[2]))
    except ImportError as error:
        raise MissingDependencyError(f"{address}: {error}") from error
    except Exception as error:  # every file system has errors of its own
        raise AdapterError(
            f"{address}: expected an adapter's folder, found what cannot be read: "
            f"{type(error).__name__}: {error}. Check the address and your access to it."
        ) from error
    if not names:
        raise AdapterError(
            f"{address}: expected {ADAPTER_CONFIG} and {WEIGHT_NAMES[0]}, found neither."
        )
    is_file = path.endswith(WEIGHT_SUFFIXES)
    return folder / path.rpartition("/")[2] if is_file else folder


def _wanted(files: "AbstractFileSystem", path: str) -> list[str]:
    """The configuration and the one weight file that the audit takes."""
    if path.endswith(WEIGHT_SUFFIXES):
        config = f"{path.rpartition('/')[0]}/{ADAPTER_CONFIG}"
        return [path, *([config] if files.exists(config) else [])]
    inside = {entry.rpartition("/")[2]: entry for entry in files.ls(path, detail=False)}
    known = [inside[name] for name in WEIGHT_NAMES if name in inside][:1]
    others = sorted(entry for name, entry in inside.items() if name.endswith(".safetensors"))
    weights = known or (others if len(others) == 1 else [])
    return weights + [inside[name] for name in (ADAPTER_CONFIG,) if name in inside]
