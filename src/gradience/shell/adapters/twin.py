"""Compares a .safetensors with the .bin beside it, without unpickling and without torch.

A PyTorch file since 1.6 is a zip whose ``data/`` entries are the bytes of its tensors' storages.
A tensor that PEFT saved to both files has the same bytes in both.
"""

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gradience.core.audit.findings import twin_finding
from gradience.core.audit.report import Finding
from gradience.core.errors import AdapterError
from gradience.core.numbers import counted
from gradience.shell.adapters.torch_zip import UNREADABLE, stored_entries
from gradience.shell.adapters.weights import AdapterWeights

CHUNK_BYTES = 2**20


def compare_with_bin(weights: AdapterWeights, twin: Path) -> Iterator[Finding]:
    """A finding where the two files hold other tensors.

    Args:
        weights: The safetensors' weights, which are the ones audited.
        twin: The ``.bin`` beside them.

    Yields:
        At most one finding: they differ, or the .bin cannot be compared.
    """
    try:
        storages = _storages(twin)
        keys = {tensor.name: _key(weights, tensor.name) for tensor in weights.tensors}
    except (*UNREADABLE, AdapterError) as error:
        yield twin_finding(twin.name, None, str(error) or type(error).__name__)
        return
    missing = [name for name, key in keys.items() if key not in storages]
    left = (storages - Counter(keys.values())).total()
    if missing or left:
        more = f"{counted(left, 'tensor')} in {twin.name} alone" if left else ""
        yield twin_finding(twin.name, missing, more)


Key = tuple[int, int]
"""Size and checksum of a tensor's bytes."""


def _key(weights: AdapterWeights, name: str) -> Key:
    data = np.ascontiguousarray(weights.load(name)).reshape(-1).view(np.uint8)
    return data.size, zlib.crc32(data.data)


def _storages(path: Path) -> Counter[Key]:
    """Every storage; tensors that share one, or are equal, may have it once."""
    with zipfile.ZipFile(path) as archive:
        return Counter(
            (entry.file_size, _checksum(archive, entry))
            for entry in stored_entries(archive, path.stat().st_size)
            if entry.filename.split("/")[-2:-1] == ["data"]
        )


def _checksum(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Of the bytes themselves: torch may have written the zip without checksums."""
    checksum = 0
    with archive.open(entry) as data:
        while chunk := data.read(CHUNK_BYTES):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
