"""cloneofsimo's layout: ``unet:3:up``, ``unet:3:down``, modules by number alone."""

import re
from collections.abc import Sequence

from gradience.core.adapter.pairing import A_SIDE, B_SIDE, Factor, pair_factors
from gradience.core.adapter.scaling import scaling_of_alpha
from gradience.core.adapter.tensors import (
    MATRIX_DIMENSIONS,
    AdapterContents,
    LoraPair,
    TensorInfo,
    TensorKind,
)

CLONEOFSIMO_LAYOUT = "cloneofsimo"

FACTOR = re.compile(r"^(?P<module>.+:\d+):(?P<side>up|down)$")
_TOKEN = re.compile(r"^<.+>$")


def read_cloneofsimo(tensors: Sequence[TensorInfo]) -> AdapterContents:
    """Pairs the factors of a file written by cloneofsimo/lora; the scale is 1.

    Modules have numbers in the order in which that tool walks the model, not names. Tensors such
    as ``<s1>`` are rows of the token embedding.

    Args:
        tensors: The tensors of the file.

    Returns:
        The pairs, in file order.
    """
    factors: list[Factor] = []
    others: list[tuple[TensorInfo, TensorKind]] = []
    for tensor in tensors:
        match = FACTOR.match(tensor.name)
        if match is not None and len(tensor.shape) >= MATRIX_DIMENSIONS:
            side = A_SIDE if match["side"] == "down" else B_SIDE
            factors.append(Factor(match["module"], side, tensor))
        elif match is not None:
            others.append((tensor, TensorKind.UNREAD_FACTOR))
        else:
            token = _TOKEN.match(tensor.name)
            kind = TensorKind.TRAINABLE_TOKENS if token else TensorKind.SAVED_MODULE
            others.append((tensor, kind))
    pairing = pair_factors(factors)
    return AdapterContents(
        layout=CLONEOFSIMO_LAYOUT,
        pairs=tuple(
            LoraPair(module, a, b, scaling_of_alpha(None, a.shape[0]))
            for module, (a, b) in pairing.complete.items()
        ),
        incomplete=pairing.incomplete,
        others=tuple(others),
        notes=("this layout numbers modules instead of naming them, and scales them by 1",),
    )
