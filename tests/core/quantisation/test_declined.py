"""Schemes that are not read are named, with what to do."""

import pytest

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.quantisation.forms import quantised_weight

REMEDY = "name the original or a dequantised checkpoint as the base model"


def _reason(names: dict[str, str], method: str | None = None) -> str | None:
    tensors = {f"m.q{end}": TensorInfo(f"m.q{end}", (8, 8), dtype) for end, dtype in names.items()}
    found = quantised_weight("m.q", tensors, {} if method is None else {"quant_method": method})
    assert found is None or isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("names", "scheme"),
    [
        ({".codes": "I8", ".codebooks": "F16", ".scales": "F16"}, "AQLM"),
        ({".W_q": "U8", ".meta": "U8"}, "HQQ or SINQ"),
        ({".weight": "I8", ".weight_scales": "F16"}, "EETQ"),
        ({".Qidxs": "I64", ".SU": "F16"}, "QuIP#"),
        ({".dense_weights": "I64"}, "SpQR"),
        ({".indices": "I16", ".centroids.weight": "F16"}, "VPTQ"),
        ({".q_weight": "I32", ".q_scale": "I32"}, "EXL2"),
        ({".trellis": "I16"}, "EXL3"),
        ({"_blocks": "U8", "_scales": "U8"}, "MXFP4 blocks and scales"),
        ({".weight_packed": "I32", ".weight_scale": "F16"}, "packed compressed-tensors"),
        ({".weight": "U8", ".weight_scale": "F8_E4M3", ".weight_scale_2": "F32"}, "NVFP4"),
        ({".weight._data": "I8", ".weight._scale": "F16"}, "quanto"),
        ({"._weight_qdata": "I8", "._weight_scale": "F32"}, "torchao"),
        ({".weight": "U32", ".scales": "F16", ".qbiases": "F16"}, "MLX or Metal"),
    ],
)
def test_scheme_is_named_by_its_tensors(names: dict[str, str], scheme: str) -> None:
    assert _reason(names) == f"m.q is stored as {scheme}, which is not dequantised; {REMEDY}"


@pytest.mark.parametrize(
    ("method", "scheme"),
    [
        ("gguf", "GGUF"),
        ("bitnet", "BitNet"),
        ("compressed-tensors", "compressed-tensors integers"),
        ("bitsandbytes", "bitsandbytes without its quant_state"),
    ],
)
def test_scheme_is_named_by_the_configuration(method: str, scheme: str) -> None:
    found = _reason({".weight": "U8", ".weight_scale": "F16"}, method)
    assert found == f"m.q is stored as {scheme}, which is not dequantised; {REMEDY}"


def test_unknown_scheme_is_told_by_its_type() -> None:
    found = _reason({".weight": "U8"})
    assert found == f"m.q.weight is stored as U8 by an unknown scheme; {REMEDY}"


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("method", [None, "aqlm", "bitsandbytes", "compressed-tensors"])
def test_plain_weight_needs_nothing(dtype: str, method: str | None) -> None:
    assert _reason({".weight": dtype}, method) is None


@pytest.mark.parametrize("method", [None, "hqq"])
def test_weight_that_is_not_there_needs_nothing(method: str | None) -> None:
    assert _reason({".bias": "F16"}, method) is None
