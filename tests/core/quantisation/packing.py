"""Packs weights as each format's definition says: plain loops over Python integers."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.quantisation.bitsandbytes import CODE_BOOKS
from gradience.core.quantisation.dequantise import dequantise
from gradience.core.quantisation.forms import quantised_weight
from gradience.core.quantisation.stored import Config, Matrix, QuantisedWeight, Stored

PATH = "model.layers.0.q_proj"

DTYPE_NAMES = {
    np.dtype(np.uint8): "U8",
    np.dtype(np.int8): "I8",
    np.dtype(np.int32): "I32",
    np.dtype(np.int64): "I64",
    np.dtype(np.float16): "F16",
    np.dtype(np.float32): "F32",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype(ml_dtypes.float8_e4m3fn): "F8_E4M3",
    np.dtype(ml_dtypes.float8_e5m2): "F8_E5M2",
    np.dtype(ml_dtypes.float8_e8m0fnu): "F8_E8M0",
}

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""The column that each nibble of a word holds, lowest nibble first."""


class Checkpoint(NamedTuple):
    """Tensors by the endings of their names, and the configuration beside them."""

    tensors: Mapping[str, Stored]
    config: Config

    def headers(self) -> dict[str, TensorInfo]:
        """As a reader of the file would list them."""
        return {
            PATH + end: TensorInfo(PATH + end, array.shape, DTYPE_NAMES[np.dtype(array.dtype)])
            for end, array in self.tensors.items()
        }

    def recognised(self) -> QuantisedWeight | str | None:
        """What the headers and the configuration tell."""
        return quantised_weight(PATH, self.headers(), self.config)

    def dequantised(self) -> Matrix | str:
        """All the way, for a checkpoint that is recognised."""
        weight = self.recognised()
        assert isinstance(weight, QuantisedWeight), weight
        return dequantise(weight, self.parts(weight))

    def parts(self, weight: QuantisedWeight) -> dict[str, Stored]:
        """The arrays by role."""
        return {role: self.tensors[name.removeprefix(PATH)] for role, name in weight.parts.items()}

    def damaged(self, **changes: Stored | None) -> Matrix | str:
        """Dequantises with some parts replaced or, for None, taken away after recognition."""
        weight = self.recognised()
        assert isinstance(weight, QuantisedWeight), weight
        parts = self.parts(weight)
        for role, part in changes.items():
            if part is None:
                del parts[role]
            else:
                parts[role] = part
        return dequantise(weight, parts)


def typed(array: NDArray[np.float32], dtype: object) -> Stored:
    """An array in a type of ml_dtypes, under the name of one that NumPy knows."""
    return cast("Stored", array.astype(cast("type[np.float32]", dtype)))


def words_of(values: Sequence[int], bits: int) -> list[int]:
    """One run of bits, the first value lowest, cut into signed 32-bit words."""
    run = sum(value << (bits * index) for index, value in enumerate(values))
    count = -(-len(values) * bits // 32)
    words = [(run >> (32 * index)) & 0xFFFFFFFF for index in range(count)]
    return [word - 2**32 if word >= 2**31 else word for word in words]


def packed_down(values: NDArray[np.int64], bits: int) -> NDArray[np.int32]:
    """Every column of (n, columns) as words that run down the rows."""
    columns = [words_of([int(v) for v in column], bits) for column in values.T]
    return np.array(columns, dtype=np.int32).reshape(values.shape[1], -1).T.copy()


def gptq(
    q: NDArray[np.int64],
    zeros: NDArray[np.int64],
    scales: NDArray[np.float16],
    bits: int,
    config: Config,
    *,
    g_idx: NDArray[np.int32] | None = None,
) -> Checkpoint:
    """Integers (d_in, d_out); zeros, as they are to be stored, and scales (groups, d_out)."""
    tensors: dict[str, Stored] = {
        ".qweight": packed_down(q, bits),
        ".qzeros": packed_down(zeros.T, bits).T.copy(),
        ".scales": scales,
    }
    if g_idx is not None:
        tensors[".g_idx"] = g_idx
    return Checkpoint(tensors, config)


def affine(
    q: NDArray[np.int64],
    zeros: NDArray[np.int64],
    scales: NDArray[np.float16],
    groups: Sequence[int],
) -> Matrix:
    """W[o, i] = (q[i, o] - z[g(i), o]) · s[g(i), o], one entry at a time."""
    d_in, d_out = q.shape
    result = np.zeros((d_out, d_in), dtype=np.float32)
    for i in range(d_in):
        for o in range(d_out):
            code = int(q[i, o]) - int(zeros[groups[i], o])
            result[o, i] = np.float32(code) * np.float32(scales[groups[i], o])
    return result


def awq_words(values: NDArray[np.int64]) -> NDArray[np.int32]:
    """(rows, 8 n) to (rows, n) words of eight interleaved nibbles."""
    rows = [
        [
            words_of([int(row[start + column]) for column in AWQ_ORDER], 4)[0]
            for start in range(0, len(row), 8)
        ]
        for row in values
    ]
    return np.array(rows, dtype=np.int32)


def nearest(book: Sequence[float], value: float) -> int:
    """The code whose value is nearest."""
    return min(range(len(book)), key=lambda code: abs(book[code] - value))


def bnb_4bit(
    weight: NDArray[np.float32], kind: str, blocksize: int = 64, nested: int | None = None
) -> Checkpoint:
    """Quantises a matrix to NF4 or FP4; ``nested`` is the block size of a quantised absmax."""
    book = CODE_BOOKS[kind]
    flat = [float(v) for v in weight.reshape(-1)]
    blocks = [flat[at : at + blocksize] for at in range(0, len(flat), blocksize)]
    absmax = [max(1e-30, *(abs(v) for v in block)) for block in blocks]
    codes = [nearest(book, v / a) for a, block in zip(absmax, blocks, strict=True) for v in block]
    codes += [0] * (len(codes) % 2)
    packed = [high * 16 + low for high, low in zip(codes[::2], codes[1::2], strict=True)]
    state: dict[str, object] = {
        "quant_type": kind,
        "blocksize": blocksize,
        "dtype": "bfloat16",
        "shape": list(weight.shape),
    }
    tensors: dict[str, Stored] = {
        ".weight": np.array(packed, dtype=np.uint8).reshape(-1, 1),
        ".weight.quant_map": np.array(book, dtype=np.float32),
    }
    if nested is None:
        tensors[".weight.absmax"] = np.array(absmax, dtype=np.float32)
    else:
        mean = sum(absmax) / max(1, len(absmax))
        outer_book = [(code - 127.5) / 127.5 for code in range(256)]
        rest = [a - mean for a in absmax]
        outer = [max(map(abs, rest[at : at + nested])) for at in range(0, len(rest), nested)]
        inner = [nearest(outer_book, r / (outer[i // nested] or 1)) for i, r in enumerate(rest)]
        state |= {"nested_blocksize": nested, "nested_dtype": "float32", "nested_offset": mean}
        tensors[".weight.absmax"] = np.array(inner, dtype=np.uint8)
        tensors[".weight.nested_absmax"] = np.array(outer, dtype=np.float32)
        tensors[".weight.nested_quant_map"] = np.array(outer_book, dtype=np.float32)
    tensors[f".weight.quant_state.bitsandbytes__{kind}"] = json_bytes(state)
    return Checkpoint(tensors, {"quant_method": "bitsandbytes", "load_in_4bit": True})


def bnb_4bit_values(checkpoint: Checkpoint, kind: str) -> Matrix:
    """Takes the parts back one weight at a time."""
    parts = checkpoint.tensors
    state = json.loads(parts[f".weight.quant_state.bitsandbytes__{kind}"].tobytes())
    absmax = [float(v) for v in parts[".weight.absmax"]]
    if "nested_blocksize" in state:
        book, outer = parts[".weight.nested_quant_map"], parts[".weight.nested_absmax"]
        size = state["nested_blocksize"]
        absmax = [
            float(book[int(code)]) * float(outer[i // size]) + state["nested_offset"]
            for i, code in enumerate(absmax)
        ]
    packed = parts[".weight"].reshape(-1)
    values = []
    for i in range(int(np.prod(state["shape"]))):
        byte = int(packed[i // 2])
        code = byte & 15 if i % 2 else byte >> 4
        values.append(float(parts[".weight.quant_map"][code]) * absmax[i // state["blocksize"]])
    return np.array(values, dtype=np.float32).reshape(state["shape"])


def json_bytes(value: object) -> NDArray[np.uint8]:
    """JSON as bitsandbytes stores it."""
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def weights(shape: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    """Gaussian weights."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
