"""Which scheme a module's stored weight follows, from the headers and the configuration alone."""

from gradience.core.adapter.tensors import MATRIX_DIMENSIONS
from gradience.core.quantisation.awq import PER_WORD, recognise_awq
from gradience.core.quantisation.bitsandbytes import recognise_bitsandbytes
from gradience.core.quantisation.declined import declared_scheme, declined
from gradience.core.quantisation.float8 import recognise_float8
from gradience.core.quantisation.gptq import recognise_gptq
from gradience.core.quantisation.stored import (
    REMEDY,
    Config,
    QuantisedWeight,
    Tensors,
    lower_text,
)

__all__ = ["QuantisedWeight", "quantised_weight"]

_PACKED_METHODS = frozenset({"", "gptq", "awq", "auto-round", "auto_round", "intel/auto-round"})
"""``quant_method`` of checkpoints that store ``qweight`` as GPTQ or AWQ do."""


def quantised_weight(
    path: str, tensors: Tensors, quantization_config: Config
) -> QuantisedWeight | str | None:
    """How a module's weight is stored, if it is quantised.

    The tensors decide; the configuration names what they leave open. A module that a quantised
    checkpoint left in floating point is plain.

    Args:
        path: The module's path in the checkpoint, without ``.weight`` or ``.qweight``.
        tensors: The checkpoint's headers by name.
        quantization_config: That of config.json, empty where there is none.

    Returns:
        The weight and its parts; None where it is not quantised or not there; a reason, naming
        the scheme and the remedy, where it cannot be dequantised.
    """
    config = quantization_config
    if f"{path}.qweight" in tensors:
        return _packed(path, tensors, config)
    return (
        recognise_bitsandbytes(path, tensors)
        or recognise_float8(path, tensors, config)
        or declined(path, tensors, config)
    )


def _packed(path: str, tensors: Tensors, config: Config) -> QuantisedWeight | str:
    """GPTQ or AWQ: both store ``qweight``, ``qzeros`` and ``scales``."""
    method = lower_text(config, "quant_method") or ""
    if method not in _PACKED_METHODS:
        scheme = declared_scheme(config) or method
        return f"{path} is stored as {scheme}, which is not dequantised; {REMEDY}"
    if method == "awq" or "awq" in (lower_text(config, "packing_format") or ""):
        return recognise_awq(path, tensors, config)
    if not method and _words_run_along_outputs(path, tensors):
        return recognise_awq(path, tensors, config)
    return recognise_gptq(path, tensors, config)


def _words_run_along_outputs(path: str, tensors: Tensors) -> bool:
    """Whether words hold eight outputs each, as AWQ's do; GPTQ's hold inputs."""
    words, scales = tensors[f"{path}.qweight"], tensors.get(f"{path}.scales")
    if scales is None or not len(words.shape) == len(scales.shape) == MATRIX_DIMENSIONS:
        return False
    return words.shape[1] * PER_WORD == scales.shape[1]
