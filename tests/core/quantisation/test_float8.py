"""fp8 with scales per tensor, per channel and per block, against a loop."""

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from gradience.core.quantisation.stored import Config, QuantisedWeight, Stored
from tests.core.quantisation.packing import PATH, Checkpoint, typed, weights

WEIGHT = typed(weights((10, 14)) * 100, ml_dtypes.float8_e4m3fn)


def _scaled(
    weight: Stored, scale: NDArray[np.float32], rows: int, columns: int
) -> NDArray[np.float32]:
    result = np.zeros(weight.shape, dtype=np.float32)
    for o in range(weight.shape[0]):
        for i in range(weight.shape[1]):
            result[o, i] = np.float32(weight[o, i]) * scale[o // rows, i // columns]
    return result


def _random(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(4).uniform(0.001, 0.1, size=shape).astype(np.float32)


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
@pytest.mark.parametrize("ending", [".weight_scale", ".weight_scale_inv", ".qscale_weight"])
@pytest.mark.parametrize(
    ("shape", "config", "block"),
    [
        ((), {}, (10, 14)),
        ((1,), {}, (10, 14)),
        ((1, 1), {"weight_block_size": None}, (10, 14)),
        ((10,), {}, (1, 14)),
        ((10, 1), {"quant_method": "fbgemm_fp8"}, (1, 14)),
        ((10, 7), {}, (1, 2)),
        ((3, 4), {"weight_block_size": [4, 4]}, (4, 4)),
        (
            (4, 3),
            {"config_groups": {"group_0": {"weights": {"block_structure": [3, 5]}}}},
            (3, 5),
        ),
    ],
)
def test_weight_is_that_of_the_definition(
    dtype: object, ending: str, shape: tuple[int, ...], config: Config, block: tuple[int, int]
) -> None:
    weight, scale = typed(weights((10, 14)) * 100, dtype), _random(shape)
    checkpoint = Checkpoint({".weight": weight, ending: scale}, config)
    recognised = checkpoint.recognised()
    assert isinstance(recognised, QuantisedWeight)
    assert (recognised.scheme, recognised.shape) == ("fp8 with scales", (10, 14))
    grid = scale.reshape(-(-10 // block[0]), -(-14 // block[1]))
    np.testing.assert_array_equal(checkpoint.dequantised(), _scaled(weight, grid, *block))


def test_blocks_are_of_128_where_the_configuration_does_not_say() -> None:
    weight = typed(weights((130, 200)), ml_dtypes.float8_e4m3fn)
    scale = _random((2, 2))
    found = Checkpoint({".weight": weight, ".weight_scale_inv": scale}, {}).dequantised()
    np.testing.assert_array_equal(found, _scaled(weight, scale, 128, 128))


def test_scales_that_are_exponents() -> None:
    exponents = np.array([[120, 127], [130, 0]], dtype=np.uint8)
    scale = np.array([[2.0**-7, 1.0], [8.0, 2.0**-127]], dtype=np.float32)
    e8m0 = typed(scale, ml_dtypes.float8_e8m0fnu)
    expected = _scaled(WEIGHT, scale, 5, 7)
    for stored in (exponents, e8m0):
        found = Checkpoint({".weight": WEIGHT, ".scale": stored}, {}).dequantised()
        np.testing.assert_array_equal(found, expected)


def test_what_is_not_finite_is_passed_on() -> None:
    scale = np.array([127, 255], dtype=np.uint8).reshape(2, 1)
    found = Checkpoint({".weight": WEIGHT, ".weight_scale": scale}, {}).dequantised()
    assert isinstance(found, np.ndarray)
    assert np.isfinite(found[:5]).all()
    assert np.isnan(found[5:]).all()
    infinite = typed(np.full((2, 2), np.inf, dtype=np.float32), ml_dtypes.float8_e5m2)
    zero = np.zeros(1, dtype=np.float32)
    found = Checkpoint({".weight": infinite, ".weight_scale": zero}, {}).dequantised()
    assert np.isnan(np.asarray(found, dtype=np.float32)).all()


def test_zero_points_must_be_zero() -> None:
    tensors: dict[str, Stored] = {".weight": WEIGHT, ".weight_scale": _random((1,))}
    plain = Checkpoint(tensors, {}).dequantised()
    zero = np.zeros(1, dtype=np.float32)
    same = Checkpoint({**tensors, ".weight_zero_point": zero}, {})
    np.testing.assert_array_equal(same.dequantised(), plain)
    reason = same.damaged(zero_point=np.ones(1, dtype=np.float32))
    assert isinstance(reason, str)
    assert "fp8 with zero points is not dequantised" in reason


def test_weight_without_a_scale_is_declined() -> None:
    reason = Checkpoint({".weight": WEIGHT}, {}).recognised()
    assert isinstance(reason, str)
    assert f"{PATH}.weight is stored as F8_E4M3 without a scale beside it" in reason


@pytest.mark.parametrize("shape", [(3,), (3, 2), (0,), (10, 1, 1)])
def test_scale_that_does_not_cover_the_weight_is_a_reason(shape: tuple[int, ...]) -> None:
    scale = _random(shape)
    words = f"scales of shape {shape} do not cover a weight of shape (10, 14)"
    header = Checkpoint({".weight": WEIGHT, ".weight_scale": scale}, {}).recognised()
    good = Checkpoint({".weight": WEIGHT, ".weight_scale": _random((1,))}, {})
    for found in (header, good.damaged(scale=scale)):
        assert found == f"{PATH}.weight_scale: {words}"


def test_tensors_of_other_kinds_are_a_reason() -> None:
    good = Checkpoint({".weight": WEIGHT, ".weight_scale": _random((1,))}, {})
    array = good.damaged(weight=np.zeros((10, 14), dtype=np.float32))
    assert isinstance(array, str)
    assert "expected an fp8 matrix, found float32" in array
    stack = typed(np.zeros((2, 5, 14), dtype=np.float32), ml_dtypes.float8_e4m3fn)
    for tensors in (
        {".weight": stack, ".weight_scale": _random((1,))},
        {".weight": WEIGHT, ".weight_scale": np.zeros(1, dtype=np.int32)},
    ):
        header = Checkpoint(tensors, {}).recognised()
        assert isinstance(header, str)
        assert "expected an fp8 matrix with float scales" in header


@pytest.mark.parametrize("block", [[0, 128], [128], "128", [128, "128"], None])
def test_block_size_that_makes_no_sense_is_passed_over(block: object) -> None:
    tensors: dict[str, Stored] = {".weight": WEIGHT, ".weight_scale_inv": _random((1, 1))}
    found = Checkpoint(tensors, {"weight_block_size": block}).dequantised()
    np.testing.assert_array_equal(found, Checkpoint(tensors, {}).dequantised())
