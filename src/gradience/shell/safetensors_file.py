"""A typed view of safetensors' NumPy reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import ml_dtypes
import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

READ_ERRORS = (SafetensorError, OSError, TypeError, ValueError)
"""What the reader raises on a damaged file or an unknown dtype."""


_FLOAT8 = {
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}
"""Types that safetensors 0.8 looks for in NumPy itself, which has none of them."""


class TensorView(Protocol):
    """A tensor that has not been read yet."""

    def get_shape(self) -> Sequence[int]:
        """Extent per dimension."""

    def get_dtype(self) -> str:
        """Safetensors' name of the type."""


class SafetensorsFile(Protocol):
    """What is used of an open safetensors file."""

    def offset_keys(self) -> Sequence[str]:
        """The tensors' names in file order."""

    def get_slice(self, name: str) -> TensorView:
        """One tensor, unread."""

    def get_tensor(self, name: str) -> NDArray[np.float32]:
        """One tensor in its own dtype (typed as float32 for lack of bfloat16 in NumPy)."""


def open_safetensors(path: Path) -> SafetensorsFile:
    """Opens a file through its memory map; it is closed with the object's last reference.

    Raises:
        SafetensorError, OSError: The file is damaged or cannot be read.
    """
    return cast("SafetensorsFile", safe_open(str(path), framework="np"))


def read_tensor(path: Path, file: SafetensorsFile, name: str) -> NDArray[np.float32]:
    """One tensor in its own dtype, float8 included.

    Args:
        path: The file.
        file: The same file, open.
        name: The tensor.

    Raises:
        SafetensorError, OSError: The file is damaged, cannot be read, or has no such tensor.
    """
    dtype = _FLOAT8.get(str(file.get_slice(name).get_dtype()))
    return file.get_tensor(name) if dtype is None else _read_bytes(path, name, dtype)


class _Entry(msgspec.Struct, frozen=True):
    """A tensor in the header of a file, which the reader has checked already."""

    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def _read_bytes(path: Path, name: str, dtype: np.dtype[np.generic]) -> NDArray[np.float32]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        entry = msgspec.json.decode(header[name], type=_Entry)
        start, end = entry.data_offsets
        file.seek(8 + length + start)
        values = np.frombuffer(file.read(end - start), dtype=dtype)
    return cast("NDArray[np.float32]", values.reshape(entry.shape))
