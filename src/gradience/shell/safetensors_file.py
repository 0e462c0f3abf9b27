"""A typed view of safetensors' NumPy reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import ml_dtypes  # noqa: F401  the reader needs its bfloat16 and float8 types
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

READ_ERRORS = (SafetensorError, OSError, TypeError, ValueError)
"""What the reader raises on a damaged file or an unknown dtype."""


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
