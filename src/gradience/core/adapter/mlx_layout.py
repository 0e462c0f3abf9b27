"""mlx-lm's layout: ``<module>.lora_a`` (d_in, r) and ``<module>.lora_b`` (r, d_out)."""

import re
from collections.abc import Mapping, Sequence

from gradience.core.adapter.pairing import A_SIDE, B_SIDE, Factor, pair_factors
from gradience.core.adapter.scaling import ModuleScaling
from gradience.core.adapter.tensors import (
    MATRIX_DIMENSIONS,
    STACK_DIMENSIONS,
    AdapterContents,
    FactorForm,
    LoraPair,
    TensorInfo,
    TensorKind,
)
from gradience.core.errors import ConfigError, UnsupportedAdapterError
from gradience.core.numbers import real_number

MLX_LAYOUT = "mlx-lm"

PARAMETERS = "lora_parameters"
"""The section of mlx-lm's adapter_config.json that holds rank and scale."""

_FACTOR = re.compile(r"^(?P<module>.+)\.lora_(?P<side>[ab])$")


def read_mlx(
    tensors: Sequence[TensorInfo], raw: Mapping[str, object], place: str
) -> AdapterContents:
    """Pairs the factors of an mlx-lm adapter: y = x·W + scale·(x·lora_a)·lora_b.

    Args:
        tensors: The tensors of the file.
        raw: Its adapter_config.json.
        place: That file, for messages.

    Returns:
        The pairs; ``alpha`` is scale · rank, so that alpha / rank is the scale that mlx-lm
        multiplies with.

    Raises:
        ConfigError: ``lora_parameters.scale`` is missing or no number.
        UnsupportedAdapterError: The adapter is a full fine-tune.
    """
    if raw.get("fine_tune_type") == "full":
        raise UnsupportedAdapterError(
            f"{place}: expected fine_tune_type lora or dora, found full: whole weights have no "
            "low-rank spectrum to audit."
        )
    section = raw.get(PARAMETERS)
    found = section.get("scale") if isinstance(section, Mapping) else None
    scale = real_number(found)
    if scale is None:
        raise ConfigError(
            f"{place}: expected a number under {PARAMETERS}.scale, found {found!r}. Name the "
            "adapter_config.json that mlx-lm wrote with --adapter-config."
        )
    factors: list[Factor] = []
    others: list[tuple[TensorInfo, TensorKind]] = []
    for tensor in tensors:
        match = _FACTOR.match(tensor.name)
        if match is None or len(tensor.shape) < MATRIX_DIMENSIONS:
            others.append((tensor, _kind(tensor.name)))
        else:
            side = A_SIDE if match["side"] == "a" else B_SIDE
            factors.append(Factor(match["module"], side, tensor))
    pairing = pair_factors(factors)
    return AdapterContents(
        layout=MLX_LAYOUT,
        pairs=tuple(_pair(m, a, b, scale) for m, (a, b) in pairing.complete.items()),
        incomplete=pairing.incomplete,
        others=tuple(others),
    )


def _pair(module: str, a: TensorInfo, b: TensorInfo, scale: float) -> LoraPair:
    stacked = len(a.shape) == len(b.shape) == STACK_DIMENSIONS
    form = FactorForm.EXPERT_STACK if stacked else FactorForm.TRANSPOSED
    r = a.shape[1]
    scaling = ModuleScaling(r, scale * r, scale)
    return LoraPair(module, a, b, scaling, form, a.shape[0] if stacked else None)


def _kind(name: str) -> TensorKind:
    if name.endswith(".m"):
        return TensorKind.DORA_MAGNITUDE
    if re.search(r"\.lora_[ab]\b", name):
        return TensorKind.UNREAD_FACTOR
    return TensorKind.BIAS if name.endswith(".bias") else TensorKind.SAVED_MODULE
