"""bitsandbytes' NF4, FP4 and int8 against loops over their definitions."""

import ml_dtypes
import numpy as np
import pytest

from gradience.core.quantisation.bitsandbytes import CODE_BOOKS
from gradience.core.quantisation.stored import QuantisedWeight, Stored
from tests.core.quantisation.packing import (
    PATH,
    Checkpoint,
    bnb_4bit,
    bnb_4bit_values,
    json_bytes,
    typed,
    weights,
)

STATE = ".weight.quant_state.bitsandbytes__nf4"


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [None, 4, 256])
@pytest.mark.parametrize("shape", [(8, 32), (3, 43), (7, 80), (1, 1), (5, 13)])
def test_4bit_weight_is_that_of_the_definition(
    kind: str, nested: int | None, shape: tuple[int, int]
) -> None:
    checkpoint = bnb_4bit(weights(shape), kind, nested=nested)
    found = checkpoint.dequantised()
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert found.shape == shape
    np.testing.assert_allclose(found, bnb_4bit_values(checkpoint, kind), rtol=3e-7, atol=1e-7)


def test_4bit_weight_is_recognised_without_its_shape() -> None:
    weight = bnb_4bit(weights((8, 32)), "nf4", nested=4).recognised()
    assert isinstance(weight, QuantisedWeight)
    assert (weight.scheme, weight.shape) == ("bitsandbytes NF4", None)
    assert weight.parts["quant_state"] == PATH + STATE
    assert weight.parts.keys() == {
        "weight", "absmax", "quant_map", "quant_state", "nested_absmax", "nested_quant_map",
    }  # fmt: skip


@pytest.mark.parametrize("storage", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_packed_bytes_may_be_stored_under_another_type(storage: type[np.float16]) -> None:
    plain = bnb_4bit(weights((8, 32)), "fp4")
    viewed = plain.tensors[".weight"].reshape(-1).view(storage).reshape(-1, 1)
    other = Checkpoint({**plain.tensors, ".weight": viewed}, plain.config)
    np.testing.assert_array_equal(other.dequantised(), plain.dequantised())


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_published_code_book_stands_in_for_a_missing_one(kind: str) -> None:
    full = bnb_4bit(weights((8, 32)), kind)
    tensors = {end: part for end, part in full.tensors.items() if end != ".weight.quant_map"}
    np.testing.assert_array_equal(Checkpoint(tensors, {}).dequantised(), full.dequantised())


def test_the_code_book_of_the_file_comes_first() -> None:
    full = bnb_4bit(weights((8, 32)), "nf4")
    book = np.array(CODE_BOOKS["nf4"], dtype=np.float32) * np.float32(2)
    doubled = Checkpoint({**full.tensors, ".weight.quant_map": book}, {}).dequantised()
    np.testing.assert_array_equal(doubled, 2 * np.asarray(full.dequantised(), dtype=np.float32))


def test_code_books_are_the_published_ones() -> None:
    nf4, fp4 = CODE_BOOKS["nf4"], CODE_BOOKS["fp4"]
    assert list(nf4) == sorted(nf4)
    assert (len(nf4), nf4[0], nf4[7], nf4[15]) == (16, -1.0, 0.0, 1.0)
    rounded = [0, 0.0052, 0.6667, 1, 0.3333, 0.5, 0.1667, 0.25]
    np.testing.assert_allclose(fp4, [*rounded, *(-v for v in rounded)], atol=5e-5)


def _state(**changes: object) -> Stored:
    state = {"quant_type": "nf4", "blocksize": 64, "shape": [8, 32], **changes}
    return json_bytes(state)


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("quant_state", np.frombuffer(b'{"quant_type": "nf4"', dtype=np.uint8), "as JSON"),
        ("quant_state", np.frombuffer(b"\xff\xfe\x00", dtype=np.uint8), "as JSON"),
        ("quant_state", _state(shape=None), "a matrix's shape"),
        ("quant_state", _state(shape=[2, 8, 16]), "a matrix's shape"),
        ("quant_state", _state(shape=[-8, -32]), "shape \\(-8, -32\\)"),
        ("quant_state", _state(shape=[2**40, 2**40]), "expected 604462909807314587353088 bytes"),
        ("quant_state", _state(shape=[8, 33]), "expected 132 bytes for shape"),
        ("quant_state", _state(blocksize=0), "blocksize 0"),
        ("quant_state", _state(blocksize=32), "absmax of 8 blocks, found 4"),
        ("quant_state", _state(quant_type="fp4"), "expected quant_type nf4"),
        ("weight", np.zeros((9, 1), dtype=np.uint8), "expected 128 bytes"),
        ("quant_map", np.zeros(15, dtype=np.float32), "16 codes, found 15"),
        ("absmax", np.zeros(3, dtype=np.float32), "absmax of 4 blocks, found 3"),
        ("absmax", np.zeros(4, dtype=np.uint8), "nested_absmax is not stored"),
        ("absmax", None, "needs model.layers.0.q_proj.weight.absmax"),
    ],
)
def test_damaged_4bit_part_is_a_reason(role: str, part: Stored | None, words: str) -> None:
    reason = bnb_4bit(weights((8, 32)), "nf4").damaged(**{role: part})
    assert isinstance(reason, str)
    with pytest.raises(ValueError, match=words):
        raise ValueError(reason)


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("nested_absmax", np.zeros(5, dtype=np.float32), "5 blocks for 4 values"),
        ("nested_quant_map", np.zeros(9, dtype=np.float32), "256 nested codes"),
        ("absmax", np.zeros(4, dtype=np.float32), "absmax as uint8"),
        ("quant_state", _state(), "a nested_blocksize"),
    ],
)
def test_damaged_nested_part_is_a_reason(role: str, part: Stored, words: str) -> None:
    reason = bnb_4bit(weights((8, 32)), "nf4", nested=2).damaged(**{role: part})
    assert isinstance(reason, str)
    assert words in reason


def test_4bit_weight_without_absmax_is_declined() -> None:
    full = bnb_4bit(weights((8, 32)), "nf4", nested=4)
    for missing in (".weight.absmax", ".weight.nested_absmax"):
        tensors = {end: part for end, part in full.tensors.items() if end != missing}
        reason = Checkpoint(tensors, full.config).recognised()
        assert reason == f"{PATH}: bitsandbytes NF4 lacks {PATH}{missing}"


def _int8(**changes: Stored) -> Checkpoint:
    codes = np.random.default_rng(1).integers(-127, 128, size=(5, 9), dtype=np.int8)
    scb = np.linspace(0.1, 3.0, 5, dtype=np.float32)
    tensors: dict[str, Stored] = {".weight": codes, ".SCB": scb}
    return Checkpoint({**tensors, **changes}, {"quant_method": "bitsandbytes"})


def test_int8_weight_is_scaled_by_row() -> None:
    checkpoint = _int8(**{".weight_format": np.array(0, dtype=np.uint8)})
    weight = checkpoint.recognised()
    assert isinstance(weight, QuantisedWeight)
    assert (weight.scheme, weight.shape) == ("bitsandbytes int8", (5, 9))
    codes, scb = checkpoint.tensors[".weight"], checkpoint.tensors[".SCB"]
    expected = [[int(c) * float(s) / 127 for c in row] for row, s in zip(codes, scb, strict=True)]
    found = checkpoint.dequantised()
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_int8_layout_for_one_kind_of_gpu_is_a_reason() -> None:
    found = _int8(**{".weight_format": np.array(2, dtype=np.uint8)}).dequantised()
    assert isinstance(found, str)
    assert "weight_format is not 0" in found


def test_int8_part_that_does_not_fit_is_a_reason() -> None:
    found = _int8().damaged(SCB=np.ones(4, dtype=np.float32))
    assert found == f"{PATH}.weight: SCB has 4 values for 5 rows"
    found = _int8().damaged(weight=np.zeros((5, 9), dtype=np.uint8))
    assert isinstance(found, str)
    assert "expected an int8 matrix, found uint8" in found


def test_int8_tensor_of_three_dimensions_is_declined() -> None:
    found = _int8(**{".weight": np.zeros((2, 5, 9), dtype=np.int8)}).recognised()
    assert isinstance(found, str)
    assert "expected an int8 matrix" in found


def test_weight_left_in_floating_point_is_plain() -> None:
    plain = Checkpoint({".weight": typed(weights((4, 4)), ml_dtypes.bfloat16)}, _int8().config)
    assert plain.recognised() is None
