"""Why weights of other schemes are not dequantised, by the tensors that give a scheme away."""

from collections.abc import Sequence

from gradience.core.quantisation.stored import REMEDY, Config, Tensors, lower_text

PLAIN_DTYPES = frozenset({"F64", "F32", "F16", "BF16"})
"""Types of a weight that are numbers as they stand."""

SIGNS: Sequence[tuple[str, str]] = (
    (".codebooks", "AQLM"),
    (".codes", "AQLM"),
    (".W_q", "HQQ or SINQ"),
    (".weight_scales", "EETQ"),
    (".Qidxs", "QuIP#"),
    (".dense_weights", "SpQR"),
    (".centroids.weight", "VPTQ"),
    (".q_weight", "EXL2"),
    (".trellis", "EXL3"),
    ("_blocks", "MXFP4 blocks and scales"),
    (".weight_packed", "packed compressed-tensors"),
    (".weight_global_scale", "NVFP4"),
    (".weight_scale_2", "NVFP4"),
    (".weight._data", "quanto"),
    ("._weight_qdata", "torchao"),
    (".dqweight", "FP-Quant"),
    (".tables2", "HIGGS"),
    (".qbiases", "MLX or Metal"),
)
"""Endings of tensor names that only one scheme writes."""

_METHODS = {
    "aqlm": "AQLM",
    "hqq": "HQQ",
    "eetq": "EETQ",
    "quip": "QuIP#",
    "spqr": "SpQR",
    "vptq": "VPTQ",
    "exl2": "EXL2",
    "exl3": "EXL3",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4",
    "gguf": "GGUF",
    "quanto": "quanto",
    "torchao": "torchao",
    "bitnet": "BitNet",
    "higgs": "HIGGS",
    "fp_quant": "FP-Quant",
    "quark": "Quark",
    "sinq": "SINQ",
    "metal": "MLX or Metal",
    "compressed-tensors": "compressed-tensors integers",
    "bitsandbytes": "bitsandbytes without its quant_state",
}
"""``quant_method`` to the name people know."""


def declined(path: str, tensors: Tensors, config: Config) -> str | None:
    """Why a module's weight cannot be dequantised, or None where it is plain or absent.

    Args:
        path: The module; its tensors are of no scheme that is read.
        tensors: The checkpoint's headers.
        config: ``quant_method`` names the scheme where the tensors do not.
    """
    weight = tensors.get(f"{path}.weight")
    plain = weight is not None and weight.dtype in PLAIN_DTYPES
    scheme = next((name for end, name in SIGNS if path + end in tensors), None)
    if plain and scheme is None:
        return None
    if scheme is None:
        scheme = declared_scheme(config)
    if scheme is not None and (weight is not None or _has_weight(path, tensors)):
        return f"{path} is stored as {scheme}, which is not dequantised; {REMEDY}"
    if weight is None:
        return None
    return f"{weight.name} is stored as {weight.dtype} by an unknown scheme; {REMEDY}"


def declared_scheme(config: Config) -> str | None:
    """The scheme that a configuration names and that is not read, or None."""
    return _METHODS.get(lower_text(config, "quant_method") or "")


def _has_weight(path: str, tensors: Tensors) -> bool:
    """Whether a module has the tensors of a known scheme's weight."""
    return any(path + end in tensors for end, _ in SIGNS)
