"""Integers of 2, 3, 4 or 8 bits packed into 32-bit words, and the affine map back to floats."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.quantisation.stored import Matrix, Shape, Stored, matrix_shape, row_blocks

Words = NDArray[np.uint32]
Integers = NDArray[np.uint8]
Floats = NDArray[np.float32]

WORD_BITS = 32

ENDINGS = {"qweight": ".qweight", "qzeros": ".qzeros", "scales": ".scales"}
"""The tensors that GPTQ and AWQ share, by the endings of their names."""

_MATRICES = tuple(ENDINGS)
_SCALE_DTYPES = frozenset({"F64", "F32", "F16", "BF16"})


class Affine(NamedTuple):
    """W[o, i] = (q[i, o] - zeros[g(i), o]) · scales[g(i), o]."""

    zeros: Floats
    """(groups, d_out)."""
    scales: Floats
    """(groups, d_out)."""
    groups: NDArray[np.int64]
    """g: the group of each input, (d_in,)."""


def packed_problem(found: Mapping[str, TensorInfo]) -> str | None:
    """Why headers cannot be those of integers packed in 32-bit words, or None."""
    missing = sorted(ENDINGS.keys() - found.keys())
    if missing:
        return f"lacks {', '.join(missing)}"
    wrong = [
        f"{role} is {found[role].dtype}"
        for role in _MATRICES
        if found[role].dtype not in (_SCALE_DTYPES if role == "scales" else {"I32"})
    ]
    return f"expected I32 words and float scales, but {', '.join(wrong)}" if wrong else None


def words_problem(parts: Mapping[str, Stored]) -> str | None:
    """Why arrays that were read are no 32-bit words, or None."""
    wrong = {role: parts[role].dtype for role in ("qweight", "qzeros")}
    bad = [f"{role} is {dtype}" for role, dtype in wrong.items() if dtype != np.int32]
    return f"expected int32 words, but {', '.join(bad)}" if bad else None


def not_matrices(shapes: Mapping[str, Shape]) -> str | None:
    """Why some of the three tensors are no matrices, or None."""
    wrong = [
        f"{role} has shape {shapes[role]}"
        for role in _MATRICES
        if matrix_shape(shapes[role]) is None
    ]
    return f"expected matrices, but {', '.join(wrong)}" if wrong else None


def words_per_period(bits: int) -> int:
    """Words after which integers begin at a word's first bit again: 3 for 3 bits, else 1."""
    return bits // math.gcd(bits, WORD_BITS)


def unpack_rows(words: Words, bits: int) -> Integers:
    """Integers that run down the rows, the first in the lowest bits, straddling words for 3 bits.

    Args:
        words: Shape (rows, columns), rows a multiple of :func:`words_per_period`.
        bits: 2, 3, 4 or 8.

    Returns:
        Shape (rows · 32 / bits, columns).
    """
    period = words_per_period(bits)
    count = period * WORD_BITS // bits
    columns = words.shape[1]
    runs = words.reshape(-1, period, columns)
    mask = np.uint32(2**bits - 1)
    values = np.empty((len(runs), count, columns), dtype=np.uint8)
    for index in range(count):
        word, shift = divmod(index * bits, WORD_BITS)
        value = runs[:, word] >> np.uint32(shift)
        if shift + bits > WORD_BITS:
            value |= runs[:, word + 1] << np.uint32(WORD_BITS - shift)
        values[:, index] = value & mask
    return values.reshape(-1, columns)


def group_size_of(d_in: int, groups: int, configured: int | None) -> int | None:
    """Inputs per group: the configured size where it gives that many groups, else an even split.

    Args:
        d_in: Inputs.
        groups: Groups that have scales.
        configured: The configuration's ``group_size``, -1 for one group; modules may differ.

    Returns:
        The size, or None where it cannot be told.
    """
    if configured is not None and configured > 0 and -(-d_in // configured) == groups:
        return configured
    return d_in // groups if groups and d_in % groups == 0 and d_in else None


def dequantise_affine(read: Callable[[range], Integers], affine: Affine, multiple: int) -> Matrix:
    """The float32 matrix of affinely quantised integers, in runs of inputs.

    Args:
        read: Gives the integers of a run of inputs, shape (inputs, d_out).
        affine: Zeros, scales and groups.
        multiple: Runs begin at multiples of so many inputs.

    Returns:
        W, shape (d_out, d_in).
    """
    d_in, d_out = len(affine.groups), affine.scales.shape[1]
    result = np.empty((d_out, d_in), dtype=np.float32)
    for run in row_blocks((d_in, d_out), multiple):
        groups = affine.groups[run.start : run.stop]
        block: Floats = read(run).astype(np.float32)
        block -= affine.zeros[groups]
        block *= affine.scales[groups]
        result[:, run.start : run.stop] = block.T
    return result
