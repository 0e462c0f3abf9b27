"""From the stored parts of one quantised weight to its float32 matrix."""

from collections.abc import Callable, Mapping

import numpy as np

from gradience.core.quantisation.awq import AWQ, dequantise_awq
from gradience.core.quantisation.bitsandbytes import (
    FOUR_BIT,
    INT8,
    dequantise_4bit,
    dequantise_int8,
)
from gradience.core.quantisation.float8 import FLOAT8, dequantise_float8
from gradience.core.quantisation.gptq import GPTQ, dequantise_gptq
from gradience.core.quantisation.stored import Matrix, QuantisedWeight, Stored

_FAMILIES: Mapping[str, Callable[[QuantisedWeight, Mapping[str, Stored]], Matrix | str]] = {
    FOUR_BIT: dequantise_4bit,
    INT8: dequantise_int8,
    GPTQ: dequantise_gptq,
    AWQ: dequantise_awq,
    FLOAT8: dequantise_float8,
}


def dequantise(weight: QuantisedWeight, parts: Mapping[str, Stored]) -> Matrix | str:
    """The matrix that a quantised weight stands for.

    Args:
        weight: As :func:`~gradience.core.quantisation.forms.quantised_weight` recognised it.
        parts: Role to array, as read from safetensors (bfloat16 and float8 as ml_dtypes' types);
            not mutated.

    Returns:
        W, shape (d_out, d_in), float32, in memory of its own; a reason where the parts do not fit
        each other. Besides the result no more than about its own size is held.
    """
    missing = sorted(weight.parts[role] for role in weight.parts.keys() - parts.keys())
    if missing:
        return f"{weight.scheme} needs {', '.join(missing)}"
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is for the caller
        matrix = _FAMILIES[str(weight.settings["family"])](weight, parts)
    if not isinstance(matrix, str) and weight.shape not in {None, matrix.shape}:
        return f"{weight.scheme}: expected shape {weight.shape}, but the parts give {matrix.shape}"
    return matrix
