"""An adapter's tensors, read one at a time; nothing here unpickles."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import attrs
import numpy as np

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.errors import AdapterError, MissingDependencyError
from gradience.core.spectra.gram import Factor
from gradience.shell.safetensors_file import READ_ERRORS, open_safetensors

if TYPE_CHECKING:
    import torch

FLOAT32_BYTES = 4

SCALAR = re.compile(r"\.(alpha|ranknum)(\.[^.]+)?$")
"""Names of tensors that hold one number."""

LFS_MARK = b"version https://git-lfs"
"""How a Git LFS pointer file begins."""


@attrs.frozen
class AdapterWeights:
    """The tensors of an adapter: what they are, and how to read one."""

    tensors: tuple[TensorInfo, ...]
    """Every tensor, in file order."""
    load: Callable[[str], Factor]
    """One tensor by name, in its own dtype; raises AdapterError where it cannot be read."""
    metadata: Mapping[str, str] = {}
    """A safetensors header's ``__metadata__``."""

    def scalars(self) -> dict[str, float]:
        """Values of the one-element tensors that a scale may come from."""
        wanted = (t for t in self.tensors if t.size == 1 and SCALAR.search(t.name))
        return {t.name: float(self.load(t.name).reshape(-1)[0]) for t in wanted}


def open_weights(path: Path) -> AdapterWeights:
    """Opens an adapter's weight file.

    Args:
        path: A ``.safetensors`` file, or a ``.bin`` / ``.pt`` pickle of tensors.

    Returns:
        The weights; a safetensors file is mapped, and let go with their last reference.

    Raises:
        AdapterError: The file is missing, damaged, a Git LFS pointer, or holds other objects
            than tensors.
        MissingDependencyError: A pickle needs torch, which is not installed.
    """
    _refuse_pointer(path)
    return _safetensors_weights(path) if path.suffix == ".safetensors" else _torch_weights(path)


def state_dict_weights(
    state: "Mapping[str, Factor | torch.Tensor]", place: str = "<memory>"
) -> AdapterWeights:
    """Tensors that are in memory already: NumPy arrays or torch tensors.

    Args:
        state: Name → tensor; not mutated.
        place: Where they are from, for messages.

    Returns:
        The weights.

    Raises:
        AdapterError: A tensor does not hold a value for each of its entries.
    """
    for name, tensor in state.items():
        _refuse_hollow(place, name, tensor)
    tensors = tuple(
        TensorInfo(name, tuple(tensor.shape), _dtype_name(str(tensor.dtype)))
        for name, tensor in state.items()
    )
    return AdapterWeights(tensors, lambda name: _as_array(state[name]))


def _as_array(tensor: "Factor | torch.Tensor") -> Factor:
    """A torch tensor as an array, half precision widened: NumPy has no bfloat16 of its own."""
    if isinstance(tensor, np.ndarray):
        return tensor
    known = tensor.detach().cpu()
    if known.dtype.itemsize < FLOAT32_BYTES and known.is_floating_point():
        known = known.float()
    return cast("Factor", known.numpy())


def _safetensors_weights(path: Path) -> AdapterWeights:
    try:
        file = open_safetensors(path)
    except READ_ERRORS as error:
        raise AdapterError(
            f"{path}: expected a safetensors file, found {path.stat().st_size} bytes that do "
            f"not read as one ({error}). It is damaged or cut off: copy or save it again."
        ) from error

    def load(name: str) -> Factor:
        try:
            return file.array(name)
        except READ_ERRORS as error:
            raise AdapterError(f"{path}: tensor {name}: cannot read: {error}") from error

    return AdapterWeights(file.tensors, load, file.metadata)


def _torch_weights(path: Path) -> AdapterWeights:
    """Tensors of a PyTorch pickle, loaded with ``weights_only=True`` and nothing else."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: reading a PyTorch .bin needs torch, which is not installed. Install the "
            "build of torch that fits your machine, or convert the adapter to safetensors."
        ) from error
    import warnings

    from gradience.shell.adapters.torch_zip import UnsafeZipError, refuse_unsafe

    try:
        refuse_unsafe(path)
        with warnings.catch_warnings(action="ignore"):  # of torch's own old types of storage
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a damaged zip or pickle gives
        found = str(error) if isinstance(error, UnsafeZipError) else type(error).__name__
        raise AdapterError(
            f"{path}: expected a PyTorch file of tensors alone, found what weights_only=True "
            f"does not load ({found}). It is damaged or holds other "
            "objects; those are never unpickled here."
        ) from error
    if not isinstance(state, dict) or not all(torch.is_tensor(item) for item in state.values()):
        raise AdapterError(
            f"{path}: expected a dictionary of tensors, found {type(state).__name__} of other "
            "things. Save the adapter with save_pretrained."
        )
    return state_dict_weights({str(name): tensor for name, tensor in state.items()}, str(path))


def _refuse_hollow(place: str, name: str, tensor: "Factor | torch.Tensor") -> None:
    """Passes a tensor that holds as many values as its shape claims."""
    if isinstance(tensor, np.ndarray):
        return
    import torch

    plain = tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_meta
    if plain and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes():
        return
    raise AdapterError(
        f"{place}: tensor {name}: expected a plain tensor with a value for each entry, found a "
        "sparse, nested or expanded one. Save the adapter again with save_pretrained."
    )


def _dtype_name(name: str) -> str:
    """The safetensors name of a type that NumPy or torch calls ``float32``, ``torch.float32``."""
    plain = name.removeprefix("torch.")
    return _DTYPE_NAMES.get(plain, plain)


_DTYPE_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
"""NumPy's (ml_dtypes') and torch's names of floating-point types, and safetensors'."""


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
