"""AWQ weights of 4 bits in the GEMM layout."""

from collections.abc import Mapping

import numpy as np

from gradience.core.quantisation.packed_integers import (
    ENDINGS,
    WORD_BITS,
    Affine,
    Floats,
    Integers,
    Words,
    dequantise_affine,
    group_size_of,
    not_matrices,
    packed_problem,
    words_problem,
)
from gradience.core.quantisation.stored import (
    Config,
    Matrix,
    QuantisedWeight,
    Settings,
    Shape,
    Stored,
    Tensors,
    lower_text,
    named_parts,
    shapes,
    tensor_names,
    whole_number,
)

AWQ = "AWQ"

BITS = 4
PER_WORD = WORD_BITS // BITS

NIBBLE_OF_COLUMN = (0, 4, 1, 5, 2, 6, 3, 7)
"""Where a word holds its eight columns: AutoAWQ packs columns 0, 2, 4, 6, 1, 3, 5, 7 in turn."""

_GEMM = frozenset({None, "gemm"})


def recognise_awq(path: str, tensors: Tensors, config: Config) -> QuantisedWeight | str:
    """A module's AWQ weight, or why it cannot be dequantised.

    Args:
        path: A module that has a ``qweight``.
        tensors: The checkpoint's headers.
        config: ``bits``, ``group_size`` and ``version`` (the layout) are read.
    """
    found = named_parts(path, tensors, ENDINGS)
    problem = packed_problem(found)
    if problem is not None:
        return f"{path}: AWQ {problem}"
    version = lower_text(config, "version", "checkpoint_format", "format")
    if version not in _GEMM and lower_text(config, "packing_format") is None:
        return f"{path}: AWQ in the {version} layout is not dequantised; name the original model"
    bits = whole_number(config, "bits") or whole_number(config, "w_bit") or BITS
    if bits != BITS:
        return f"{path}: AWQ of {bits} bits is not dequantised; name the original model"
    group_size = whole_number(config, "group_size") or whole_number(config, "q_group_size") or 0
    size = _group_size(shapes(found), group_size)
    if isinstance(size, str):
        return f"{path}: AWQ {size}"
    shape = (found["scales"].shape[1], found["qweight"].shape[0])
    settings: Settings = {"family": AWQ, "bits": BITS, "group_size": group_size}
    return QuantisedWeight(f"AWQ {BITS}-bit", tensor_names(found), shape, settings)


def _group_size(found: Mapping[str, Shape], configured: int | None) -> int | str:
    """Inputs per group, or why the shapes do not fit each other."""
    problem = not_matrices(found)
    if problem is not None:
        return problem
    (d_in, words), (groups, d_out) = found["qweight"], found["scales"]
    if words * PER_WORD != d_out or found["qzeros"] != (groups, words):
        return (
            f"in the GEMM layout has words (d_in, d_out / 8), zeros (groups, d_out / 8) and scales "
            f"(groups, d_out); found {found['qweight']}, {found['qzeros']} and {found['scales']}"
        )
    size = group_size_of(d_in, groups, configured)
    if size is None:
        return f"has {groups} groups for {d_in} inputs, which no group_size explains"
    return size


def dequantise_awq(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> Matrix | str:
    """W[o, i] = (q[i, o] - z[i // group_size, o]) · s[i // group_size, o].

    Args:
        weight: What was recognised.
        parts: ``qweight`` int32 (d_in, d_out / 8), ``qzeros`` int32 (groups, d_out / 8),
            ``scales`` (groups, d_out).

    Returns:
        The matrix; a reason where parts do not fit each other.

    References:
        Lin et al. 2024 (AWQ); the layout as AutoAWQ's ``WQLinear_GEMM`` and ``unpack_awq``.
    """
    configured = whole_number(weight.settings, "group_size")
    size = words_problem(parts) or _group_size(shapes(parts), configured)
    if isinstance(size, str):
        return f"{weight.parts['qweight']}: AWQ {size}"
    words = np.ascontiguousarray(parts["qweight"]).view(np.uint32)
    zeros = _unpack_columns(np.ascontiguousarray(parts["qzeros"]).view(np.uint32))
    scales: Floats = np.asarray(parts["scales"], dtype=np.float32)
    groups = np.arange(len(words), dtype=np.int64) // size
    affine = Affine(zeros.astype(np.float32), scales, groups)
    return dequantise_affine(lambda run: _unpack_columns(words[run.start : run.stop]), affine, 1)


def _unpack_columns(words: Words) -> Integers:
    """Eight columns out of each word, (rows, words) to (rows, 8 · words)."""
    values = np.empty((*words.shape, PER_WORD), dtype=np.uint8)
    for column, nibble in enumerate(NIBBLE_OF_COLUMN):
        values[..., column] = (words >> np.uint32(BITS * nibble)) & np.uint32(2**BITS - 1)
    return values.reshape(len(words), -1)
