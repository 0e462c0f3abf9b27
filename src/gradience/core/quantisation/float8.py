"""fp8 weights with scales: per tensor, per channel, or per block."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import MATRIX_DIMENSIONS
from gradience.core.quantisation.stored import (
    REMEDY,
    Config,
    Matrix,
    QuantisedWeight,
    Settings,
    Shape,
    Stored,
    Tensors,
    matrix_shape,
    named_parts,
    row_blocks,
    tensor_names,
)

FLOAT8 = "fp8 with scales"

_SCALE_ENDINGS = (".weight_scale_inv", ".weight_scale", ".qscale_weight", ".scale")
"""All hold factors to multiply by, "inv" too. The last two are of Mistral's and DeepSeek-V4's
checkpoints (transformers, ``FineGrainedFP8HfQuantizer.update_weight_conversions``)."""

_SCALE_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "F8_E8M0", "U8"})

_WEIGHT_DTYPES = frozenset({"F8_E4M3", "F8_E5M2"})

DEFAULT_BLOCK = 128
"""Rows and columns that share a scale where the configuration does not say (DeepSeek-AI 2024,
§3.3.2, and transformers' ``FineGrainedFP8Config``)."""

EXPONENT_BIAS = 127
"""Of a scale stored as a bare exponent: 2^(byte - 127) (OCP Microscaling v1.0, §5.4.1)."""


NO_NUMBER = 255
"""The byte of such a scale that stands for NaN."""


def recognise_float8(path: str, tensors: Tensors, config: Config) -> QuantisedWeight | str | None:
    """A module's fp8 weight with its scales, a reason where they do not fit, or None."""
    found = named_parts(path, tensors, {"weight": ".weight"})
    if "weight" not in found or found["weight"].dtype not in _WEIGHT_DTYPES:
        return None
    weight = found["weight"]
    scales = [tensors[path + end] for end in _SCALE_ENDINGS if path + end in tensors]
    if not scales:
        return f"{weight.name} is stored as {weight.dtype} without a scale beside it; {REMEDY}"
    scale, shape = scales[0], matrix_shape(weight.shape)
    if shape is None or scale.dtype not in _SCALE_DTYPES:
        return (
            f"{weight.name}: expected an fp8 matrix with float scales, found shape {weight.shape} "
            f"and {scale.name} as {scale.dtype}"
        )
    rows, columns = _configured_block(config)
    settings: Settings = {"family": FLOAT8, "block_rows": rows, "block_columns": columns}
    grid = _grid(shape, scale.shape, rows, columns)
    if isinstance(grid, str):
        return f"{scale.name}: {grid}"
    found |= {"scale": scale} | named_parts(path, tensors, {"zero_point": ".weight_zero_point"})
    return QuantisedWeight(FLOAT8, tensor_names(found), shape, settings)


def _configured_block(config: Config) -> tuple[int, int]:
    """``weight_block_size``, or compressed-tensors' ``block_structure``, or the default."""
    groups = config.get("config_groups")
    schemes = groups.values() if isinstance(groups, dict) else ()
    weights = [scheme.get("weights") for scheme in schemes if isinstance(scheme, dict)]
    structures = [found.get("block_structure") for found in weights if isinstance(found, dict)]
    for block in (config.get("weight_block_size"), *structures):
        if isinstance(block, list | tuple):
            sizes = [size for size in block if isinstance(size, int) and size > 0]
            if len(sizes) == len(block) == MATRIX_DIMENSIONS:
                return sizes[0], sizes[1]
    return DEFAULT_BLOCK, DEFAULT_BLOCK


def _grid(
    shape: tuple[int, int], scale: Shape, rows: int, columns: int
) -> tuple[int, int, int, int] | str:
    """The scales' grid and the block that each covers: (grid rows, columns, block rows, columns).

    Along each dimension the configured block is taken where it gives the grid's extent, else an
    even split (one scale per tensor or per channel among them).
    """
    grid = (1, 1) if scale == () else scale if len(scale) > 1 else (scale[0], 1)
    blocks = [
        _block(extent, count, size)
        for extent, count, size in zip(shape, grid, (rows, columns), strict=False)
    ]
    if len(grid) != len(shape) or None in blocks:
        return f"scales of shape {scale} do not cover a weight of shape {shape}"
    return grid[0], grid[1], blocks[0] or 1, blocks[1] or 1


def _block(extent: int, count: int, configured: int) -> int | None:
    if -(-extent // configured) == count:
        return configured
    return extent // count if count and extent % count == 0 else None


def dequantise_float8(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> Matrix | str:
    """W[o, i] = weight[o, i] · scale[o // block rows, i // block columns].

    Args:
        weight: What was recognised.
        parts: ``weight`` float8 (d_out, d_in); ``scale`` of shape (), (1), (d_out), (d_out, 1) or
            the grid of blocks, its last ones perhaps cut; perhaps ``zero_point``.

    Returns:
        The matrix; a reason where the scale does not fit or zero points are not zero. Values that
        are not finite are passed on.

    References:
        compressed-tensors ``FloatQuantizationCompressor``; transformers ``Fp8Dequantize`` and
        ``FbgemmFp8Linear``.
    """
    stored, name = parts["weight"], weight.parts["weight"]
    shape = matrix_shape(stored.shape)
    if shape is None or stored.dtype.itemsize != 1:
        return f"{name}: expected an fp8 matrix, found {stored.dtype} of shape {stored.shape}"
    if "zero_point" in parts and np.asarray(parts["zero_point"], dtype=np.float32).any():
        return f"{name}: fp8 with zero points is not dequantised; {REMEDY}"
    sizes = int(weight.settings["block_rows"]), int(weight.settings["block_columns"])
    grid = _grid(shape, tuple(parts["scale"].shape), *sizes)
    if isinstance(grid, str):
        return f"{weight.parts['scale']}: {grid}"
    grid_rows, grid_columns, rows, columns = grid
    factors = _factors(parts["scale"]).reshape(grid_rows, grid_columns)
    row_of, column_of = np.arange(shape[0]) // rows, np.arange(shape[1]) // columns
    result = np.empty(shape, dtype=np.float32)
    for run in row_blocks(shape):
        rows_here = slice(run.start, run.stop)
        result[rows_here] = stored[rows_here]
        result[rows_here] *= factors[row_of[rows_here]][:, column_of]
    return result


def _factors(scale: Stored) -> NDArray[np.float32]:
    if scale.dtype != np.uint8:
        return np.asarray(scale, dtype=np.float32)
    powers = np.exp2(np.asarray(scale, dtype=np.float32) - EXPONENT_BIAS)
    return np.where(scale == NO_NUMBER, np.float32(np.nan), powers).astype(np.float32)
