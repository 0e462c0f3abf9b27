"""A safetensors file as a table of contents and views of its mapped bytes."""

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from gradience.core.adapter.tensors import TensorInfo

READ_ERRORS = (SafetensorError, OSError, TypeError, ValueError)
"""What opening a damaged file or asking for an unknown dtype raises."""

METADATA_KEY = "__metadata__"

HEADER_LENGTH_BYTES = 8

_NUMPY_NAMES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_ML_DTYPES_NAMES: Mapping[str, str] = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}
"""safetensors' names of the types that NumPy knows, and that ml_dtypes adds."""


def _numpy_dtype(name: str) -> np.dtype[np.generic]:
    if name in _NUMPY_NAMES:
        return np.dtype(_NUMPY_NAMES[name])
    if name in _ML_DTYPES_NAMES:
        import ml_dtypes

        added: np.dtype[np.generic] = np.dtype(getattr(ml_dtypes, _ML_DTYPES_NAMES[name]))
        return added
    raise TypeError(f"dtype {name} is not one that NumPy can hold")


class _Entry(msgspec.Struct, frozen=True):
    """A tensor in the header, which the reader has checked already."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@attrs.frozen
class SafetensorsFile:
    """An open file: what it holds, and read-only views of it.

    The file is mapped, not read: a view costs no private memory, and the mapping is let go with
    the last view.
    """

    tensors: tuple[TensorInfo, ...]
    """Every tensor, in the order of their bytes."""
    metadata: Mapping[str, str]
    """The header's ``__metadata__``."""
    _entries: Mapping[str, _Entry]
    _map: mmap.mmap
    _data_start: int

    def array(self, name: str) -> NDArray[np.float32]:
        """A view of one tensor in its own dtype, read-only and perhaps unaligned.

        Raises:
            TypeError: NumPy has no such dtype (packed 4-bit and 6-bit types).
            ValueError: There is no such tensor.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise ValueError(f"no tensor {name}")
        dtype = _numpy_dtype(entry.dtype)
        count = math.prod(entry.shape)
        start = self._data_start + entry.data_offsets[0]
        flat = np.frombuffer(self._map, dtype, count, start) if count else np.zeros(0, dtype)
        # Typed as float32 because the type system has no name for bfloat16 and float8.
        return cast("NDArray[np.float32]", flat.reshape(entry.shape))


def open_safetensors(path: Path) -> SafetensorsFile:
    """Opens a file; the safetensors package checks its header first.

    Raises:
        SafetensorError: The header is damaged, or its offsets do not fit the file.
        OSError, ValueError: The file cannot be read, or is empty.
    """
    with safe_open(str(path), framework="np"):  # offsets, shapes and sizes agree from here on
        pass
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(mapped[:HEADER_LENGTH_BYTES], "little")
    start = HEADER_LENGTH_BYTES + length
    header = msgspec.json.decode(mapped[HEADER_LENGTH_BYTES:start], type=dict[str, msgspec.Raw])
    metadata = msgspec.json.decode(header.pop(METADATA_KEY, b"{}"), type=dict[str, str] | None)
    entries = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in header.items()}
    ordered = sorted(entries.items(), key=lambda item: item[1].data_offsets)
    tensors = tuple(TensorInfo(name, entry.shape, entry.dtype) for name, entry in ordered)
    return SafetensorsFile(tensors, metadata or {}, entries, mapped, start)
