"""Laws of dequantisation: what was rounded to a grid comes back within half of its step."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.quantisation.packing import Checkpoint, awq_words, bnb_4bit, gptq, typed, weights

from gradience.core.quantisation.bitsandbytes import CODE_BOOKS
from gradience.core.quantisation.stored import Matrix, Stored
from property_tests.factors import SEEDS

ROUNDING = 1 + 1e-3
"""Slack for scales in float16 and results in float32."""


def _shapes(rows: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(rows, st.integers(1, 40))


def _matrix(found: Matrix | str) -> Matrix:
    assert isinstance(found, np.ndarray), found
    assert found.dtype == np.float32
    return found


@given(
    shape=_shapes(st.integers(1, 20)),
    seed=SEEDS,
    kind=st.sampled_from(["nf4", "fp4"]),
    blocksize=st.sampled_from([2, 32, 64]),
)
def test_4bit_codes_come_back_within_half_a_gap(
    shape: tuple[int, int], seed: int, kind: str, blocksize: int
) -> None:
    original = weights(shape, seed)
    found = _matrix(bnb_4bit(original, kind, blocksize).dequantised())
    assert found.shape == shape
    widest = float(np.diff(np.sort(CODE_BOOKS[kind])).max())
    flat, error = original.reshape(-1), np.abs(found - original).reshape(-1)
    for start in range(0, flat.size, blocksize):
        largest = np.abs(flat[start : start + blocksize]).max()
        assert (error[start : start + blocksize] <= ROUNDING * largest * widest / 2).all()


@given(shape=_shapes(st.integers(1, 20)), seed=SEEDS, nested=st.integers(1, 300))
def test_a_quantised_absmax_changes_a_weight_by_its_own_half_step(
    shape: tuple[int, int], seed: int, nested: int
) -> None:
    original = weights(shape, seed)
    twice = bnb_4bit(original, "nf4", 32, nested)
    once = _matrix(bnb_4bit(original, "nf4", 32).dequantised())
    step = float(np.max(twice.tensors[".weight.nested_absmax"])) / 127.5
    assert np.abs(_matrix(twice.dequantised()) - once).max() <= ROUNDING * step / 2 + 1e-6


def _to_grid(
    weight: NDArray[np.float32], groups: NDArray[np.int64], top: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float16]]:
    """Rounds W (d_in, d_out) per group to 0 … top: integers, zeros and scales."""
    count, d_out = int(groups.max()) + 1, weight.shape[1]
    low, high = np.zeros((count, d_out)), np.zeros((count, d_out))
    for group in range(count):
        low[group] = np.minimum(weight[groups == group].min(axis=0, initial=0), -0.1)
        high[group] = np.maximum(weight[groups == group].max(axis=0, initial=0), 0.1)
    # One step of room at the low end, as v1 cannot store a zero of 0, and one for rounding.
    scales = ((high - low) / max(1, top - 2)).astype(np.float16)
    zeros = np.maximum(1, np.rint(-low / scales)).astype(np.int64)
    q = np.rint(weight / scales[groups]).astype(np.int64) + zeros[groups]
    return np.clip(q, 0, top), np.clip(zeros, 1, top), scales


@given(
    inputs=st.integers(1, 3),
    d_out=st.integers(32, 50),
    group_size=st.integers(5, 40),
    bits=st.sampled_from([3, 4, 8]),
    seed=SEEDS,
    act_order=st.booleans(),
    v2=st.booleans(),
)
def test_gptq_comes_back_within_half_a_step(
    inputs: int, d_out: int, group_size: int, bits: int, seed: int, *, act_order: bool, v2: bool
) -> None:
    d_in = 32 * inputs
    original = weights((d_in, d_out), seed)
    groups = np.arange(d_in) // group_size
    if act_order:
        groups = np.random.default_rng(seed).permutation(groups)
    q, zeros, scales = _to_grid(original, groups, 2**bits - 1)
    config = {
        "bits": bits,
        "group_size": group_size,
        "checkpoint_format": "gptq_v2" if v2 else "gptq",
    }
    g_idx = groups.astype(np.int32) if act_order else None
    checkpoint = gptq(q, zeros if v2 else zeros - 1, scales, bits, config, g_idx=g_idx)
    found = _matrix(checkpoint.dequantised())
    assert found.shape == (d_out, d_in)
    steps = scales.astype(np.float32)[groups]
    assert (np.abs(found.T - original) <= ROUNDING * steps / 2 + 1e-5).all()


@given(d_in=st.integers(1, 50), words=st.integers(1, 4), group_size=st.integers(1, 60), seed=SEEDS)
def test_awq_comes_back_within_half_a_step(
    d_in: int, words: int, group_size: int, seed: int
) -> None:
    original = weights((d_in, 8 * words), seed)
    groups = np.arange(d_in) // group_size
    q, zeros, scales = _to_grid(original, groups, 15)
    tensors: dict[str, Stored] = {
        ".qweight": awq_words(q),
        ".qzeros": awq_words(zeros),
        ".scales": scales,
    }
    config = {"quant_method": "awq", "group_size": group_size}
    found = _matrix(Checkpoint(tensors, config).dequantised())
    assert found.shape == (8 * words, d_in)
    steps = scales.astype(np.float32)[groups]
    assert (np.abs(found.T - original) <= ROUNDING * steps / 2 + 1e-5).all()


@given(shape=_shapes(st.integers(1, 30)), seed=SEEDS)
def test_int8_comes_back_within_half_a_step(shape: tuple[int, int], seed: int) -> None:
    original = weights(shape, seed)
    largest = np.abs(original).max(axis=1)
    codes = np.rint(original / largest[:, None] * 127).astype(np.int8)
    found = _matrix(Checkpoint({".weight": codes, ".SCB": largest}, {}).dequantised())
    assert found.shape == shape
    assert (np.abs(found - original) <= ROUNDING * largest[:, None] / 254).all()


@given(
    shape=_shapes(st.integers(1, 30)),
    block=st.tuples(st.integers(1, 40), st.integers(1, 50)),
    seed=SEEDS,
)
def test_fp8_comes_back_within_its_precision(
    shape: tuple[int, int], block: tuple[int, int], seed: int
) -> None:
    original = weights(shape, seed)
    rows, columns = np.arange(shape[0]) // block[0], np.arange(shape[1]) // block[1]
    scale = np.zeros((rows[-1] + 1, columns[-1] + 1), dtype=np.float32)
    np.maximum.at(scale, (rows[:, None], columns[None, :]), np.abs(original) / 448)
    scaled = original / scale[rows][:, columns]
    stored = typed(scaled.astype(np.float32), ml_dtypes.float8_e4m3fn)
    tensors: dict[str, Stored] = {".weight": stored, ".weight_scale_inv": scale}
    found = _matrix(Checkpoint(tensors, {"weight_block_size": list(block)}).dequantised())
    assert found.shape == shape
    assert found == pytest.approx(original, rel=ROUNDING / 16, abs=float(scale.max()) * 2.0**-10)
