"""AWQ's GEMM layout against words packed nibble by nibble."""

from collections.abc import Mapping

import numpy as np
import pytest

from gradience.core.quantisation.stored import Config, QuantisedWeight, Stored
from tests.core.quantisation.packing import Checkpoint, affine, awq_words

CONFIG = {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm"}

RANDOM = np.random.default_rng(3)
Q = RANDOM.integers(0, 16, size=(40, 24))
ZEROS = RANDOM.integers(0, 16, size=(3, 24))
SCALES = RANDOM.uniform(0.001, 0.1, size=(3, 24)).astype(np.float16)
EXPECTED = affine(Q, ZEROS, SCALES, [i // 16 for i in range(40)])


def _awq(config: Config = CONFIG, changes: Mapping[str, Stored] | None = None) -> Checkpoint:
    tensors: dict[str, Stored] = {
        ".qweight": awq_words(Q),
        ".qzeros": awq_words(ZEROS),
        ".scales": SCALES,
    }
    replaced = {f".{role}": part for role, part in (changes or {}).items()}
    return Checkpoint({**tensors, **replaced}, config)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        {"group_size": 16},
        {"quant_method": "awq", "w_bit": 4, "q_group_size": 16},
        {"quant_method": "awq", "group_size": 16, "checkpoint_format": "gemm"},
        {"quant_method": "auto-round", "packing_format": "auto_round:auto_awq", "group_size": 16},
    ],
)
def test_weight_is_that_of_the_definition(config: Config) -> None:
    checkpoint = _awq(config)
    weight = checkpoint.recognised()
    assert isinstance(weight, QuantisedWeight)
    assert (weight.scheme, weight.shape) == ("AWQ 4-bit", (24, 40))
    found = checkpoint.dequantised()
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, EXPECTED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": 8}, "AWQ of 8 bits"),
        ({"version": "GEMV"}, "AWQ in the gemv layout"),
        ({"version": "marlin"}, "AWQ in the marlin layout"),
        ({"group_size": 9}, "3 groups for 40 inputs"),
    ],
)
def test_other_settings_are_declined(changes: dict[str, object], words: str) -> None:
    reason = _awq({**CONFIG, **changes}).recognised()
    assert isinstance(reason, str)
    assert words in reason


@pytest.mark.parametrize(
    ("role", "part", "words"),
    [
        ("qweight", np.zeros((40, 4), dtype=np.int32), "found (40, 4), (3, 3) and (3, 24)"),
        ("qzeros", np.zeros((2, 3), dtype=np.int32), "found (40, 3), (2, 3) and (3, 24)"),
        ("scales", np.zeros((2, 24), dtype=np.float16), "found (40, 3), (3, 3) and (2, 24)"),
        ("scales", np.zeros(24, dtype=np.float16), "scales has shape (24,)"),
    ],
)
def test_parts_that_do_not_fit_are_a_reason(role: str, part: Stored, words: str) -> None:
    for found in (_awq(changes={role: part}).recognised(), _awq().damaged(**{role: part})):
        assert isinstance(found, str)
        assert words in found


def test_wrong_types_are_a_reason() -> None:
    header = _awq(changes={"qweight": np.zeros((40, 3), dtype=np.uint8)}).recognised()
    assert isinstance(header, str)
    assert "AWQ expected I32 words and float scales, but qweight is U8" in header
    array = _awq().damaged(qzeros=np.zeros((3, 3), dtype=np.int64))
    assert isinstance(array, str)
    assert "qzeros is int64" in array
