"""bitsandbytes' 4-bit (NF4, FP4; absmax quantised once or twice) and int8 weights."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.quantisation.stored import (
    Matrix,
    QuantisedWeight,
    Stored,
    Tensors,
    matrix_shape,
    named_parts,
    tensor_names,
)

FOUR_BIT = "bitsandbytes 4-bit"
INT8 = "bitsandbytes int8"

_STATE_ENDING = ".weight.quant_state.bitsandbytes__"
_FOUR_BIT_ENDINGS = {
    "weight": ".weight",
    "absmax": ".weight.absmax",
    "quant_map": ".weight.quant_map",
    "nested_absmax": ".weight.nested_absmax",
    "nested_quant_map": ".weight.nested_quant_map",
}
_INT8_ENDINGS = {"weight": ".weight", "SCB": ".SCB", "weight_format": ".weight_format"}

INT8_RANGE = 127.0
"""The int8 code of a row's largest magnitude, which ``SCB`` holds."""

CODES = 16
"""Entries of a 4-bit code book."""

NESTED_CODES = 256
"""Entries of the code book of an absmax that is itself quantised."""

CODE_BOOKS: Mapping[str, tuple[float, ...]] = {
    "nf4": (
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ),
    "fp4": tuple(
        sign * value / 12 for sign in (1, -1) for value in (0, 0.0625, 8, 12, 4, 6, 2, 3)
    ),
}  # fmt: skip
"""Taken only where a file lacks its ``quant_map``: NF4 from Dettmers et al. 2023, appendix E, FP4
from bitsandbytes' ``get_4bit_type``."""


class _QuantState(msgspec.Struct, frozen=True):
    """What of ``quant_state`` (JSON in a uint8 tensor) is needed."""

    quant_type: str
    blocksize: int
    shape: tuple[int, int]
    nested_blocksize: int = 0
    nested_offset: float = 0.0


class _Codes(NamedTuple):
    """A 4-bit weight once its parts are known to fit each other."""

    packed: NDArray[np.uint8]
    """Two codes a byte, the earlier one in the high half; flat, row after row."""
    book: NDArray[np.float32]
    absmax: NDArray[np.float32]
    """One factor per block of the flat weight."""


def recognise_bitsandbytes(path: str, tensors: Tensors) -> QuantisedWeight | str | None:
    """A module's bitsandbytes weight, a reason where parts are missing, or None."""
    for kind in CODE_BOOKS:
        if path + _STATE_ENDING + kind in tensors:
            return _recognise_4bit(path, kind, tensors)
    found = named_parts(path, tensors, _INT8_ENDINGS)
    if not {"weight", "SCB"} <= found.keys() or found["weight"].dtype != "I8":
        return None
    shape = matrix_shape(found["weight"].shape)
    if shape is None:
        return f"{path}.weight: expected an int8 matrix, found shape {found['weight'].shape}"
    return QuantisedWeight(INT8, tensor_names(found), shape, {"family": INT8})


def _recognise_4bit(path: str, kind: str, tensors: Tensors) -> QuantisedWeight | str:
    endings = {**_FOUR_BIT_ENDINGS, "quant_state": _STATE_ENDING + kind}
    found = named_parts(path, tensors, endings)
    needed = {"weight", "absmax"}
    if found.keys() & {"nested_absmax", "nested_quant_map"}:
        needed |= {"nested_absmax", "nested_quant_map"}
    missing = sorted(path + endings[role] for role in needed - found.keys())
    if missing:
        return f"{path}: bitsandbytes {kind.upper()} lacks {', '.join(missing)}"
    settings = {"family": FOUR_BIT, "quant_type": kind}
    return QuantisedWeight(f"bitsandbytes {kind.upper()}", tensor_names(found), None, settings)


def dequantise_4bit(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> Matrix | str:
    """W[i] = book[code[i]] · absmax[i // blocksize] over the flat weight.

    An absmax that is itself quantised is first taken back in the same way, with its own code book
    and blocks, plus an offset. The result is not rounded to the dtype that the library computes
    in.

    Args:
        weight: What was recognised.
        parts: ``weight`` (packed bytes, whatever dtype they are stored under), ``absmax``,
            ``quant_state``, perhaps ``quant_map``, ``nested_absmax`` and ``nested_quant_map``.

    Returns:
        The matrix; a reason where a part is damaged or does not fit. Values that are not finite
        are passed on.

    References:
        Dettmers et al. 2023 (QLoRA), §3; bitsandbytes, ``QuantState.as_dict`` and
        ``dequantize_4bit``.
    """
    name = weight.parts["weight"]
    state = _state(weight, parts)
    if isinstance(state, str):
        return f"{name}: {state}"
    codes = _codes(state, parts)
    if isinstance(codes, str):
        return f"{name}: {codes}"
    pairs = np.stack([codes.book.repeat(CODES), np.tile(codes.book, CODES)], axis=1)
    count = math.prod(state.shape)
    flat = np.empty(2 * codes.packed.size, dtype=np.float32)
    np.take(pairs, codes.packed, axis=0, out=flat.reshape(-1, 2), mode="clip")
    full = count - count % state.blocksize
    blocks = flat[:full].reshape(-1, state.blocksize)
    blocks *= codes.absmax[: len(blocks), None]
    if full < count:
        flat[full:count] *= codes.absmax[-1]
    return flat[:count].reshape(state.shape)


def _state(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> _QuantState | str:
    raw = np.ascontiguousarray(parts["quant_state"]).tobytes()
    try:
        state = msgspec.json.decode(raw, type=_QuantState)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"expected quant_state as JSON with a matrix's shape, found: {error}"
    if state.quant_type != weight.settings["quant_type"]:
        expected = weight.settings["quant_type"]
        return f"expected quant_type {expected} in quant_state, found {state.quant_type}"
    if state.blocksize <= 0 or min(state.shape) < 0:
        return f"quant_state has blocksize {state.blocksize} and shape {state.shape}"
    return state


def _codes(state: _QuantState, parts: Mapping[str, Stored]) -> _Codes | str:
    packed = np.ascontiguousarray(parts["weight"]).reshape(-1).view(np.uint8)
    count = math.prod(state.shape)
    if packed.size != -(-count // 2):
        return f"expected {-(-count // 2)} bytes for shape {state.shape}, found {packed.size}"
    published = np.array(CODE_BOOKS[state.quant_type])
    book = np.asarray(parts.get("quant_map", published), dtype=np.float32).reshape(-1)
    if book.size != CODES:
        return f"expected a quant_map of {CODES} codes, found {book.size}"
    absmax = _absmax(state, parts)
    if isinstance(absmax, str):
        return absmax
    blocks = -(-count // state.blocksize)
    if absmax.size != blocks:
        return f"expected absmax of {blocks} blocks, found {absmax.size}"
    return _Codes(packed, book, absmax)


def _absmax(state: _QuantState, parts: Mapping[str, Stored]) -> NDArray[np.float32] | str:
    stored = parts["absmax"].reshape(-1)
    if "nested_absmax" not in parts:
        if stored.dtype == np.uint8:
            return "absmax is quantised, but nested_absmax is not stored"
        return np.asarray(stored, dtype=np.float32)
    outer = np.asarray(parts["nested_absmax"], dtype=np.float32).reshape(-1)
    book = np.asarray(parts["nested_quant_map"], dtype=np.float32).reshape(-1)
    if stored.dtype != np.uint8 or book.size != NESTED_CODES or state.nested_blocksize <= 0:
        return (
            f"expected absmax as uint8, {NESTED_CODES} nested codes and a nested_blocksize, found "
            f"{stored.dtype}, {book.size} and {state.nested_blocksize}"
        )
    if outer.size != -(-stored.size // state.nested_blocksize):
        return f"nested_absmax has {outer.size} blocks for {stored.size} values of absmax"
    factors = outer.repeat(state.nested_blocksize)[: stored.size]
    absmax: NDArray[np.float32] = book[stored.view(np.uint8)] * factors
    absmax += np.float32(state.nested_offset)
    return absmax


def dequantise_int8(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> Matrix | str:
    """W[i, j] = code[i, j] · SCB[i] / 127, each row scaled by its largest magnitude.

    Args:
        weight: What was recognised.
        parts: ``weight`` (int8, (d_out, d_in)), ``SCB`` (d_out) and perhaps ``weight_format``.

    Returns:
        The matrix; a reason where SCB does not fit, or the layout is one of the older ones made
        for one kind of GPU.

    References:
        Dettmers et al. 2022 (LLM.int8()), §2; bitsandbytes, ``int8_vectorwise_dequant``.
    """
    codes, largest = parts["weight"], np.asarray(parts["SCB"], dtype=np.float32).reshape(-1)
    name = weight.parts["weight"]
    if codes.dtype != np.int8 or matrix_shape(codes.shape) is None:
        return f"{name}: expected an int8 matrix, found {codes.dtype} of shape {codes.shape}"
    if largest.size != codes.shape[0]:
        return f"{name}: SCB has {largest.size} values for {codes.shape[0]} rows"
    if "weight_format" in parts and parts["weight_format"].any():
        return f"{name}: weight_format is not 0 (row-major): save it with a newer bitsandbytes"
    factors = largest / np.float32(INT8_RANGE)
    result: Matrix = np.multiply(codes.view(np.int8), factors[:, None], dtype=np.float32)
    return result
