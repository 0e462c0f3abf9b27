"""A quantised weight as a checkpoint stores it: which tensors, which scheme, which settings."""

from collections.abc import Iterator, Mapping

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import MATRIX_DIMENSIONS, TensorInfo

Stored = (
    NDArray[np.uint8]
    | NDArray[np.int8]
    | NDArray[np.int32]
    | NDArray[np.int64]
    | NDArray[np.float16]
    | NDArray[np.float32]
    | NDArray[np.float64]
)
"""A tensor as safetensors holds it; bfloat16 and float8 arrays (ml_dtypes) are fine at run time."""

Matrix = NDArray[np.float32]
"""A dequantised weight, (d_out, d_in)."""

Tensors = Mapping[str, TensorInfo]
"""The headers of a checkpoint by tensor name."""

Config = Mapping[str, object]
"""``quantization_config`` of a checkpoint's config.json."""

Shape = tuple[int, ...]

Settings = Mapping[str, int | str | bool]

BLOCK_ELEMENTS = 2**20
"""Elements unpacked at a time: 4 MiB of float32, so that temporaries stay far below the result."""

REMEDY = "name the original or a dequantised checkpoint as the base model"


@attrs.frozen
class QuantisedWeight:
    """One weight that a checkpoint stores in parts."""

    scheme: str
    """As shown to people: ``bitsandbytes NF4``, ``GPTQ 4-bit`` …"""
    parts: Mapping[str, str]
    """Role to the tensor's name; all are needed to dequantise."""
    shape: tuple[int, int] | None
    """(d_out, d_in) where the headers tell it."""
    settings: Settings
    """What the configuration adds to the tensors, and ``family``, which names the scheme's kind."""


def named_parts(path: str, tensors: Tensors, endings: Mapping[str, str]) -> dict[str, TensorInfo]:
    """The tensors that a checkpoint has of those a scheme would store for a module.

    Args:
        path: The module.
        tensors: The checkpoint's headers.
        endings: Role to the name's ending, dot included.

    Returns:
        Role to header, for the tensors that are there.
    """
    names = {role: path + ending for role, ending in endings.items()}
    return {role: tensors[name] for role, name in names.items() if name in tensors}


def tensor_names(found: Mapping[str, TensorInfo]) -> dict[str, str]:
    """Role to tensor name."""
    return {role: info.name for role, info in found.items()}


def shapes(found: Mapping[str, TensorInfo | Stored]) -> dict[str, Shape]:
    """Role to shape, of headers or of arrays."""
    return {role: tuple(part.shape) for role, part in found.items()}


def whole_number(config: Config, key: str) -> int | None:
    """An integer setting, or None where it is absent or something else."""
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def lower_text(config: Config, *keys: str) -> str | None:
    """The first of some settings that is a text, in lower case."""
    texts = (config.get(key) for key in keys)
    return next((text.lower() for text in texts if isinstance(text, str)), None)


def matrix_shape(shape: Shape) -> tuple[int, int] | None:
    """The shape, if it is a matrix's."""
    return (shape[0], shape[1]) if len(shape) == MATRIX_DIMENSIONS else None


def row_blocks(shape: tuple[int, int], multiple: int = 1) -> Iterator[range]:
    """Runs of rows of about ``BLOCK_ELEMENTS`` elements, each but the last a multiple long."""
    rows, width = shape
    step = max(1, BLOCK_ELEMENTS // max(1, width * multiple)) * multiple
    for start in range(0, rows, step):
        yield range(start, min(start + step, rows))
