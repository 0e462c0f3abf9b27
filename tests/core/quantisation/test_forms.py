"""Which scheme a stored weight follows."""

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.quantisation.forms import QuantisedWeight, quantised_weight


def _packed(qweight: tuple[int, ...], qzeros: tuple[int, ...]) -> dict[str, TensorInfo]:
    return {
        f"m.{name}": TensorInfo(f"m.{name}", shape, dtype)
        for name, shape, dtype in (
            ("qweight", qweight, "I32"),
            ("qzeros", qzeros, "I32"),
            ("scales", (2, 64), "F16"),
        )
    }


def test_shapes_tell_gptq_from_awq_where_no_method_is_named() -> None:
    for tensors, scheme in (
        (_packed((16, 64), (2, 8)), "GPTQ 4-bit"),
        (_packed((128, 8), (2, 8)), "AWQ 4-bit"),
    ):
        found = quantised_weight("m", tensors, {})
        assert isinstance(found, QuantisedWeight)
        assert (found.scheme, found.shape) == (scheme, (64, 128))


def test_named_method_is_held_against_the_shapes() -> None:
    awq = quantised_weight("m", _packed((16, 64), (2, 8)), {"quant_method": "awq"})
    gptq = quantised_weight("m", _packed((128, 8), (2, 8)), {"quant_method": "gptq"})
    assert isinstance(awq, str)
    assert "AWQ in the GEMM layout" in awq
    assert isinstance(gptq, str)
    assert "GPTQ expected scales of shape (2, 8)" in gptq


def test_packed_weight_without_scales_is_declined() -> None:
    tensors = {"m.qweight": TensorInfo("m.qweight", (16, 64), "I32")}
    assert quantised_weight("m", tensors, {}) == "m: GPTQ lacks qzeros, scales"


def test_other_modules_do_not_matter() -> None:
    tensors = {"x.weight": TensorInfo("x.weight", (4, 4), "U8")}
    assert quantised_weight("y", tensors, {"quant_method": "gptq"}) is None
