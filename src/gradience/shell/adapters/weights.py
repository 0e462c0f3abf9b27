"""An adapter's tensors, read one at a time; nothing here unpickles."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

import numpy as np

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.errors import AdapterError, MissingDependencyError
from gradience.core.spectra.reduction import Factor
from gradience.shell.safetensors_file import (
    READ_ERRORS,
    SafetensorsFile,
    open_safetensors,
    read_tensor,
)

FLOAT32_BYTES = 4

LFS_MARK = b"version https://git-lfs"
"""How a Git LFS pointer file begins."""


class AdapterWeights(Protocol):
    """The tensors of an adapter file."""

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """Every tensor, in file order."""

    def load(self, name: str) -> Factor:
        """One tensor as an array in its own dtype.

        Raises:
            AdapterError: It cannot be read.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def open_weights(path: Path) -> AdapterWeights:
    """Opens an adapter's weight file.

    Args:
        path: A ``.safetensors`` file, or a ``.bin`` / ``.pt`` pickle of tensors.

    Returns:
        The opened weights; use them as a context manager.

    Raises:
        AdapterError: The file is missing, damaged, a Git LFS pointer, or holds other objects
            than tensors.
        MissingDependencyError: A pickle needs torch, which is not installed.
    """
    _refuse_pointer(path)
    if path.suffix == ".safetensors":
        return SafetensorsWeights(path)
    return TorchWeights(path)


class SafetensorsWeights:
    """Tensors of a safetensors file, through its memory map."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: SafetensorsFile | None = open_safetensors(path)
        except READ_ERRORS as error:
            raise AdapterError(
                f"{path}: expected a safetensors file, found {path.stat().st_size} bytes that do "
                f"not read as one ({error}). It is damaged or cut off: copy or save it again."
            ) from error
        self.tensors: tuple[TensorInfo, ...] = tuple(_info(self._file))

    def load(self, name: str) -> Factor:
        """One tensor as an array in its own dtype."""
        if self._file is None:
            raise AdapterError(f"{self._path}: the weights are closed")
        try:
            return read_tensor(self._path, self._file, name)
        except READ_ERRORS as error:
            raise AdapterError(f"{self._path}: tensor {name}: cannot read: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file = None


def _info(file: SafetensorsFile) -> Iterator[TensorInfo]:
    for name in file.offset_keys():
        view = file.get_slice(name)
        yield TensorInfo(name, tuple(view.get_shape()), str(view.get_dtype()))


class ArrayWeights:
    """Tensors that are in memory already: NumPy arrays, or anything ``np.asarray`` takes."""

    def __init__(self, arrays: Mapping[str, Factor]) -> None:
        self._arrays = arrays
        self.tensors: tuple[TensorInfo, ...] = tuple(
            TensorInfo(name, array.shape, _NUMPY_DTYPES.get(array.dtype.name, array.dtype.name))
            for name, array in arrays.items()
        )

    def load(self, name: str) -> Factor:
        """One tensor as it is."""
        return self._arrays[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


_NUMPY_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}


class TorchWeights:
    """Tensors of a PyTorch pickle, loaded with ``weights_only=True`` and nothing else."""

    def __init__(self, path: Path) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError(
                f"{path}: reading a PyTorch .bin needs torch, which is not installed. Install the "
                "build of torch that fits your machine, or convert the adapter to safetensors."
            ) from error
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever a damaged zip or pickle gives
            raise AdapterError(
                f"{path}: expected a PyTorch file of tensors alone, found what weights_only=True "
                f"does not load ({type(error).__name__}). It is damaged or holds other objects; "
                "those are never unpickled here."
            ) from error
        if not isinstance(state, dict) or not all(
            isinstance(tensor, torch.Tensor) for tensor in state.values()
        ):
            raise AdapterError(
                f"{path}: expected a dictionary of tensors, found {type(state).__name__} of other "
                "things. Save the adapter with save_pretrained."
            )
        self._state: dict[str, torch.Tensor] = {str(key): value for key, value in state.items()}
        self._names: dict[torch.dtype, str] = {
            torch.float64: "F64",
            torch.float32: "F32",
            torch.float16: "F16",
            torch.bfloat16: "BF16",
            torch.float8_e4m3fn: "F8_E4M3",
            torch.float8_e5m2: "F8_E5M2",
        }

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """Every tensor, in file order."""
        return tuple(
            TensorInfo(name, tuple(tensor.shape), self._names.get(tensor.dtype, str(tensor.dtype)))
            for name, tensor in self._state.items()
        )

    def load(self, name: str) -> Factor:
        """One tensor as an array; half precision is widened, which is exact."""
        tensor = self._state[name].detach()
        known = tensor if tensor.dtype.itemsize >= FLOAT32_BYTES else tensor.float()
        return cast("Factor", np.asarray(known.numpy()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = {}


def _refuse_pointer(path: Path) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(LFS_MARK))
    except OSError as error:
        raise AdapterError(f"{path}: cannot read the weights: {error.strerror}") from error
    if beginning == LFS_MARK:
        raise AdapterError(
            f"{path}: expected weights, found a Git LFS pointer: the file itself was never "
            "downloaded. Run 'git lfs pull' in its repository, or download it from the Hub."
        )
