"""GPTQ against bit runs of Python integers, act-order and both zero conventions included."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gradience.core.quantisation.stored import Config, QuantisedWeight, Stored
from tests.core.quantisation.packing import PATH, Checkpoint, affine, gptq, packed_down

BITS = (2, 3, 4, 8)


class Quantised(NamedTuple):
    """Integers, zeros and scales of a weight of 64 inputs and 32 outputs in groups of 24."""

    q: NDArray[np.int64]
    zeros: NDArray[np.int64]
    scales: NDArray[np.float16]


GROUP_SIZE = 24
IN_ORDER = tuple(i // GROUP_SIZE for i in range(64))


def _quantised(bits: int, shape: tuple[int, int] = (64, 32), groups: int = 3) -> Quantised:
    random = np.random.default_rng(bits)
    return Quantised(
        random.integers(0, 2**bits, size=shape),
        random.integers(1, 2**bits, size=(groups, shape[1])),
        random.uniform(0.001, 0.1, size=(groups, shape[1])).astype(np.float16),
    )


def _config(bits: int, **others: object) -> Config:
    return {"quant_method": "gptq", "bits": bits, "group_size": GROUP_SIZE, **others}


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(
    ("others", "stored_less"),
    [
        ({}, 1),
        ({"checkpoint_format": "gptq"}, 1),
        ({"checkpoint_format": "gptq_v2"}, 0),
        ({"format": "gptq_v2"}, 0),
        ({"quant_method": "auto-round", "packing_format": "auto_round:auto_gptq"}, 1),
        ({"quant_method": "auto-round", "packing_format": "auto_round:gptqmodel"}, 0),
        ({"quant_method": "auto-round", "packing_format": "auto_round"}, 0),
    ],
)
def test_groups_in_order(bits: int, others: dict[str, object], stored_less: int) -> None:
    q, zeros, scales = _quantised(bits)
    checkpoint = gptq(q, zeros - stored_less, scales, bits, _config(bits, **others))
    weight = checkpoint.recognised()
    assert isinstance(weight, QuantisedWeight)
    assert (weight.scheme, weight.shape) == (f"GPTQ {bits}-bit", (32, 64))
    np.testing.assert_array_equal(checkpoint.dequantised(), affine(q, zeros, scales, IN_ORDER))


@pytest.mark.parametrize("bits", BITS)
def test_act_order_takes_groups_from_g_idx(bits: int) -> None:
    q, zeros, scales = _quantised(bits)
    g_idx = np.random.default_rng(5).permutation(IN_ORDER).astype(np.int32)
    checkpoint = gptq(q, zeros - 1, scales, bits, _config(bits, desc_act=True), g_idx=g_idx)
    expected = affine(q, zeros, scales, [int(g) for g in g_idx])
    np.testing.assert_array_equal(checkpoint.dequantised(), expected)


def test_g_idx_of_zeros_means_in_order() -> None:
    q, zeros, scales = _quantised(4)
    checkpoint = gptq(q, zeros - 1, scales, 4, _config(4), g_idx=np.zeros(64, dtype=np.int32))
    np.testing.assert_array_equal(checkpoint.dequantised(), affine(q, zeros, scales, IN_ORDER))


@pytest.mark.parametrize("bits", BITS)
def test_symmetric_weights_in_one_group(bits: int) -> None:
    q, _, scales = _quantised(bits, groups=1)
    zeros = np.full((1, 32), 2 ** (bits - 1))
    checkpoint = gptq(q, zeros - 1, scales, bits, {"bits": bits, "group_size": -1, "sym": True})
    np.testing.assert_array_equal(checkpoint.dequantised(), affine(q, zeros, scales, [0] * 64))


def test_inputs_beyond_g_idx_are_padding() -> None:
    q, zeros, scales = _quantised(4)
    g_idx = np.array(IN_ORDER[:61], dtype=np.int32)
    checkpoint = gptq(q, zeros - 1, scales, 4, _config(4), g_idx=g_idx)
    expected = affine(q[:61], zeros, scales, IN_ORDER)
    np.testing.assert_array_equal(checkpoint.dequantised(), expected)


@pytest.mark.parametrize(("bits", "d_out"), [(3, 40), (4, 12), (2, 36), (8, 33)])
def test_outputs_that_do_not_fill_their_words(bits: int, d_out: int) -> None:
    q, zeros, scales = _quantised(bits, (64, d_out))
    checkpoint = gptq(q, zeros - 1, scales, bits, _config(bits))
    np.testing.assert_array_equal(checkpoint.dequantised(), affine(q, zeros, scales, IN_ORDER))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_borrow_of_a_zero_that_was_zero_is_taken_back(bits: int) -> None:
    q, zeros, scales = _quantised(bits)
    zeros[:, ::5] = 0
    ones = sum(1 << at for at in range(0, 32, bits))
    words = packed_down(zeros.T, bits).T.astype(np.int64) - ones
    stored = (words & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    tensors = {**gptq(q, zeros, scales, bits, {}).tensors, ".qzeros": stored}
    found = Checkpoint(tensors, _config(bits, sym=False)).dequantised()
    np.testing.assert_array_equal(found, affine(q, zeros, scales, IN_ORDER))


def _minus_swapped_ones(zeros: NDArray[np.int64]) -> NDArray[np.int32]:
    ones = [0b00100100100100100100100100100100, 0b10010010010010010010010010010010,
            0b01001001001001001001001001001001]  # fmt: skip
    words = packed_down(zeros.T, 3).T.astype(np.int64) - np.array(ones)
    stored: NDArray[np.int32] = (words & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return stored


def test_symmetric_3bit_zeros_as_gptqmodel_writes_them() -> None:
    q, _, scales = _quantised(3)
    zeros = np.full((3, 32), 4)
    tensors = {**gptq(q, zeros, scales, 3, {}).tensors, ".qzeros": _minus_swapped_ones(zeros)}
    found = Checkpoint(tensors, _config(3)).dequantised()
    np.testing.assert_array_equal(found, affine(q, zeros, scales, IN_ORDER))


def test_asymmetric_3bit_zeros_of_gptqmodel_are_declined() -> None:
    q, zeros, scales = _quantised(3)
    meta = {"quantizer": ["gptqmodel:2.2.0"]}
    v1 = gptq(q, zeros, scales, 3, _config(3, sym=False, meta=meta)).recognised()
    assert isinstance(v1, str)
    assert "save the base model with checkpoint_format gptq_v2" in v1
    v2 = _config(3, sym=False, meta=meta, checkpoint_format="gptq_v2")
    assert isinstance(gptq(q, zeros, scales, 3, v2).recognised(), QuantisedWeight)


def test_shapes_decide_where_a_module_differs_from_the_configuration() -> None:
    q, zeros, scales = _quantised(8, groups=4)
    checkpoint = gptq(q, zeros - 1, scales, 8, {"bits": 4, "group_size": 128})
    expected = affine(q, zeros, scales, [i // 16 for i in range(64)])
    np.testing.assert_array_equal(checkpoint.dequantised(), expected)


@pytest.mark.parametrize("group_size", [7, None])
def test_groups_that_no_size_explains_are_declined(group_size: int | None) -> None:
    q, zeros, scales = _quantised(4)
    config = {"bits": 4, "group_size": group_size}
    reason = gptq(q, zeros, scales, 4, config).recognised()
    assert reason == f"{PATH}: GPTQ has 3 groups for 64 inputs, which no group_size explains"
    in_order = np.zeros(64, dtype=np.int32)
    found = gptq(q, zeros, scales, 4, config, g_idx=in_order).dequantised()
    assert isinstance(found, str)
    assert "no group_size explains" in found


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"checkpoint_format": "marlin"}, "GPTQ in the marlin layout"),
        ({"is_marlin_format": True}, "GPTQ in the marlin layout"),
        ({"checkpoint_format": "bitblas"}, "GPTQ in the bitblas layout"),
        ({"quant_method": "qqq"}, "is stored as qqq"),
        ({"quant_method": "fp_quant"}, "is stored as FP-Quant"),
    ],
)
def test_other_layouts_are_declined_by_name(others: dict[str, object], words: str) -> None:
    reason = gptq(*_quantised(4), 4, _config(4, **others)).recognised()
    assert isinstance(reason, str)
    assert words in reason
    assert "name the original" in reason


@pytest.mark.parametrize(
    ("ending", "part", "words"),
    [
        (".qzeros", None, "GPTQ lacks qzeros"),
        (".scales", None, "GPTQ lacks scales"),
        (".qweight", np.zeros((8, 32), dtype=np.uint8), "but qweight is U8"),
        (".qweight", np.zeros((2, 8, 32), dtype=np.int32), "qweight has shape (2, 8, 32)"),
        (".scales", np.zeros((3, 31), dtype=np.float16), "scales of shape (3, 32)"),
        (".qzeros", np.zeros((3, 5), dtype=np.int32), "5 words of zeros for 32 outputs"),
        (".g_idx", np.zeros(65, dtype=np.int32), "a g_idx of 65 inputs for 64"),
        (".g_idx", np.zeros((1, 64), dtype=np.int32), "found shape (1, 64)"),
    ],
)
def test_headers_that_do_not_fit_are_declined(ending: str, part: Stored | None, words: str) -> None:
    tensors = dict(gptq(*_quantised(4), 4, {}).tensors)
    if part is None:
        del tensors[ending]
    else:
        tensors[ending] = part
    reason = Checkpoint(tensors, _config(4)).recognised()
    assert isinstance(reason, str)
    assert words in reason


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        (
            "qweight",
            np.zeros((9, 32), dtype=np.int32),
            "shape (32, 64), but the parts give (32, 72)",
        ),
        ("qweight", np.zeros((8, 32), dtype=np.int64), "qweight is int64"),
        ("qzeros", np.zeros((2, 4), dtype=np.int32), "expected scales of shape (2, 32)"),
        ("scales", np.zeros((3, 4), dtype=np.float16), "expected scales of shape (3, 32)"),
    ],
)
def test_damaged_part_is_a_reason(role: str, part: Stored, words: str) -> None:
    found = gptq(*_quantised(4), 4, _config(4)).damaged(**{role: part})
    assert isinstance(found, str)
    assert words in found


@pytest.mark.parametrize("bad", [-1, 3])
def test_g_idx_beyond_the_groups_is_a_reason(bad: int) -> None:
    g_idx = np.array(IN_ORDER, dtype=np.int32)
    g_idx[-1 if bad > 0 else 0] = bad
    found = gptq(*_quantised(4), 4, _config(4), g_idx=g_idx).dequantised()
    assert isinstance(found, str)
    assert "g_idx names groups" in found


def test_width_of_a_tiny_weight_needs_the_configuration() -> None:
    quantised = _quantised(4, (32, 3), 1)
    assert isinstance(gptq(*quantised, 4, {}).recognised(), str)
    assert isinstance(gptq(*quantised, 4, {"bits": 4}).recognised(), QuantisedWeight)
