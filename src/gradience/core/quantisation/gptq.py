"""GPTQ weights of 2, 3, 4 or 8 bits, with or without act-order, in both zero conventions."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
    unpack_rows,
    words_per_period,
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

GPTQ = "GPTQ"

BITS = (2, 3, 4, 8)
"""Widths that are packed as one run of bits."""

_ENDINGS = {**ENDINGS, "g_idx": ".g_idx"}

_FORMATS = {None: True, "gptq": True, "gptq_v2": False}
"""``checkpoint_format`` to whether the stored zeros are one too small."""

_ONES = {bits: np.uint32(sum(1 << at for at in range(0, WORD_BITS, bits))) for bits in (2, 4, 8)}
"""Adds one to every integer of a word."""

_SWAPPED_ONES = np.array([0x24924924, 0x92492492, 0x49249249], dtype=np.uint32)
"""What GPTQModel adds to three words of 3-bit zeros: the outer two are in each other's place."""


class _Layout(NamedTuple):
    """What the shapes of the parts tell."""

    bits: int
    d_out: int
    d_in: int
    groups: int
    group_size: int | None
    """None where it cannot be told; then only ``g_idx`` says which group an input is in."""


def recognise_gptq(path: str, tensors: Tensors, config: Config) -> QuantisedWeight | str:
    """A module's GPTQ weight, or why it cannot be dequantised.

    Args:
        path: A module that has a ``qweight``.
        tensors: The checkpoint's headers.
        config: ``bits``, ``group_size`` and ``checkpoint_format`` are read; the shapes decide
            where a module differs from the configuration.
    """
    found = named_parts(path, tensors, _ENDINGS)
    problem = packed_problem(found)
    if problem is not None:
        return f"{path}: GPTQ {problem}"
    one_less = _zeros_are_one_less(config)
    if isinstance(one_less, str):
        return f"{path}: {one_less}"
    bits, group_size = whole_number(config, "bits"), whole_number(config, "group_size")
    layout = _layout(shapes(found), bits, group_size)
    if isinstance(layout, str):
        return f"{path}: GPTQ {layout}"
    ambiguous = layout.bits not in _ONES and one_less and config.get("sym") is False
    if ambiguous and _written_by_gptqmodel(config):
        return (
            f"{path}: asymmetric 3-bit GPTQ zeros that GPTQModel wrote in the v1 format cannot be "
            "told from others; save the base model with checkpoint_format gptq_v2"
        )
    settings: Settings = {
        "family": GPTQ,
        "bits": layout.bits,
        "group_size": group_size or 0,
        "zeros_one_less": one_less,
    }
    shape = (layout.d_out, layout.d_in)
    return QuantisedWeight(f"GPTQ {layout.bits}-bit", tensor_names(found), shape, settings)


def _zeros_are_one_less(config: Config) -> bool | str:
    """The zero convention: of AutoRound by its ``packing_format``, else by the format's name."""
    packing = lower_text(config, "packing_format")
    if packing is not None:
        return "gptqmodel" not in packing and "gptq" in packing
    name = lower_text(config, "checkpoint_format", "format")
    if config.get("is_marlin_format") is True:
        name = "marlin"
    if name not in _FORMATS:
        return f"GPTQ in the {name} layout is not dequantised; name the original base model"
    return _FORMATS[name]


def _written_by_gptqmodel(config: Config) -> bool:
    meta = config.get("meta")
    return (
        "gptqmodel" in str(meta.get("quantizer", "")).lower() if isinstance(meta, dict) else False
    )


def _layout(found: Mapping[str, Shape], bits: int | None, group_size: int | None) -> _Layout | str:
    """Bits from the widths of zeros and scales, d_in from g_idx or the words, and whether all fit.

    Args:
        found: Role to shape.
        bits: The configured width, taken where the shapes allow it.
        group_size: The configured size of groups.
    """
    problem = not_matrices(found)
    if problem is not None:
        return problem
    if len(found.get("g_idx", (0,))) != 1:
        return f"expected g_idx with one group per input, found shape {found['g_idx']}"
    (rows, d_out), (groups, zero_words) = found["qweight"], found["qzeros"]
    if found["scales"] != (groups, d_out):
        return f"expected scales of shape {(groups, d_out)}, found {found['scales']}"
    widths = [b for b in BITS if -(-d_out * b // WORD_BITS) == zero_words]
    width = bits if bits in widths else min(widths, default=None)
    if width is None or rows % words_per_period(width) or (width != bits and len(widths) > 1):
        return f"has {rows} rows of words and {zero_words} words of zeros for {d_out} outputs"
    capacity = rows * WORD_BITS // width
    d_in = found.get("g_idx", (capacity,))[0]
    if not capacity - WORD_BITS < d_in <= capacity:
        return f"has a g_idx of {d_in} inputs for {capacity} packed ones"
    size = group_size_of(d_in, groups, group_size)
    if size is None and "g_idx" not in found:
        return f"has {groups} groups for {d_in} inputs, which no group_size explains"
    return _Layout(width, d_out, d_in, groups, size)


def dequantise_gptq(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> Matrix | str:
    """W[o, i] = (q[i, o] - z[g(i), o]) · s[g(i), o], g(i) = g_idx[i] or i // group_size.

    Integers run down the rows of ``qweight`` and along the columns of ``qzeros``, lowest bits
    first. In the v1 format every zero was stored minus one. A ``g_idx`` of zeros only stands for
    "in order".

    Args:
        weight: What was recognised.
        parts: ``qweight`` int32 (d_in · bits / 32, d_out), ``qzeros`` int32 (groups,
            d_out · bits / 32), ``scales`` (groups, d_out), perhaps ``g_idx`` (d_in).

    Returns:
        The matrix; a reason where parts do not fit each other.

    References:
        Frantar et al. 2023 (GPTQ); the layout as AutoGPTQ's and GPTQModel's ``QuantLinear.pack``
        write it; v1 to v2 as GPTQModel's ``convert_gptq_v1_to_v2_format_module`` (one added to a
        word's integers at once, so that a borrow between them is taken back).
    """
    name = weight.parts["qweight"]
    bits = whole_number(weight.settings, "bits")
    size = whole_number(weight.settings, "group_size")
    layout = words_problem(parts) or _layout(shapes(parts), bits, size)
    if isinstance(layout, str):
        return f"{name}: GPTQ {layout}"
    groups = _groups(layout, parts.get("g_idx"))
    if isinstance(groups, str):
        return f"{name}: GPTQ {groups}"
    words = _words(parts["qweight"])
    zeros = _zeros(
        _words(parts["qzeros"]), layout, one_less=weight.settings["zeros_one_less"] is True
    )
    scales: Floats = np.asarray(parts["scales"], dtype=np.float32)
    per_word_run = words_per_period(layout.bits) * WORD_BITS // layout.bits

    def read(run: range) -> Integers:
        first = run.start * layout.bits // WORD_BITS
        last = -(-run.stop // per_word_run) * words_per_period(layout.bits)
        return unpack_rows(words[first:last], layout.bits)[: len(run)]

    return dequantise_affine(read, Affine(zeros, scales, groups), per_word_run)


def _words(stored: Stored) -> Words:
    return np.ascontiguousarray(stored).view(np.uint32)


def _groups(layout: _Layout, g_idx: Stored | None) -> NDArray[np.int64] | str:
    if g_idx is not None and (g_idx.any() or layout.groups == 1):
        groups = np.asarray(g_idx, dtype=np.int64)
        if groups.size and not 0 <= int(groups.min()) <= int(groups.max()) < layout.groups:
            return f"g_idx names groups {groups.min()} to {groups.max()} of {layout.groups}"
        return groups
    if layout.group_size is None:
        return f"has {layout.groups} groups for {layout.d_in} inputs, which no group_size explains"
    return np.arange(layout.d_in, dtype=np.int64) // layout.group_size


def _zeros(words: Words, layout: _Layout, *, one_less: bool) -> Floats:
    def unpacked(packed: Words) -> Integers:
        return unpack_rows(np.ascontiguousarray(packed.T), layout.bits).T[:, : layout.d_out]

    bits = layout.bits
    period = words_per_period(bits)
    padded = np.pad(words, ((0, 0), (0, -words.shape[1] % period)))
    if not one_less:
        return unpacked(padded).astype(np.float32)
    if bits in _ONES:
        return unpacked(padded + _ONES[bits]).astype(np.float32)
    swapped = unpacked(padded + np.tile(_SWAPPED_ONES, padded.shape[1] // period))
    if (swapped == 1 << (bits - 1)).all():  # only symmetric zeros that GPTQModel wrote
        return swapped.astype(np.float32)
    fields: Integers = (unpacked(padded) + np.uint8(1)) & np.uint8(2**bits - 1)
    return fields.astype(np.float32)
