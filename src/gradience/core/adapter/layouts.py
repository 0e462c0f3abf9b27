"""The homes of LoRA: tells a file's layout from its tensors' names, and reads it."""

import re
from collections.abc import Mapping, Sequence

import attrs

from gradience.core.adapter.cloneofsimo_layout import CLONEOFSIMO_LAYOUT, read_cloneofsimo
from gradience.core.adapter.diffusers_layout import COMPONENT, DIFFUSERS_LAYOUT, read_diffusers
from gradience.core.adapter.kohya_layout import KOHYA_LAYOUT, read_kohya
from gradience.core.adapter.mlx_layout import MLX_LAYOUT, read_mlx
from gradience.core.adapter.peft_config import peft_lora_config
from gradience.core.adapter.peft_layout import PEFT_LAYOUT, read_peft
from gradience.core.adapter.peft_methods import require_low_rank, require_plain_product
from gradience.core.adapter.tensors import AdapterContents, TensorInfo
from gradience.core.errors import AdapterError, UnsupportedAdapterError

LAYOUTS: Mapping[str, str] = {
    PEFT_LAYOUT: "<module>.lora_A.weight, .lora_B.weight and adapter_config.json",
    KOHYA_LAYOUT: "lora_unet_<path>.lora_down.weight, .lora_up.weight, .alpha",
    DIFFUSERS_LAYOUT: "unet.<path>.lora_A.weight; older .lora.up.weight, _lora.up.weight, "
    ".lora_linear_layer.up.weight",
    CLONEOFSIMO_LAYOUT: "unet:<n>:up, unet:<n>:down",
    MLX_LAYOUT: "<module>.lora_a, .lora_b and adapter_config.json",
}
"""The layouts that are read, and how their tensors are named."""

NAMES_SHOWN = 6
"""Tensor names that a refusal lists."""

_MARKS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"[._]lora_(down|up)\.weight$"), KOHYA_LAYOUT),
    (re.compile(r"(\.lora|_lora|\.lora_linear_layer)\.(up|down)\.weight$"), DIFFUSERS_LAYOUT),
    (re.compile(r":\d+:(up|down)$"), CLONEOFSIMO_LAYOUT),
    (re.compile(r"\.lora_[ab]$"), MLX_LAYOUT),
    (re.compile(rf"^{COMPONENT}\..+\.lora_[AB](\.[^.]+)?\.weight$"), DIFFUSERS_LAYOUT),
    (re.compile(r"\.lora_(embedding_)?[AB](\.|$)"), PEFT_LAYOUT),
)
_DECLINED: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"\.hada_w"), "LoHa factors (a Hadamard product of two low-rank products)"),
    (re.compile(r"\.lokr_w"), "LoKr factors (a Kronecker product)"),
    (re.compile(r"\.(oft_|boft_)"), "OFT blocks (orthogonal factors)"),
    (re.compile(r"\.diff$"), "full-rank differences"),
)


@attrs.frozen(kw_only=True)
class AdapterFile:
    """What a weight file and its configuration say, before any large tensor is read."""

    tensors: tuple[TensorInfo, ...]
    scalars: Mapping[str, float] = {}
    """Values of the one-element tensors that a scale may come from."""
    metadata: Mapping[str, str] = {}
    """The header's ``__metadata__``."""
    config: Mapping[str, object] | None = None
    """The adapter_config.json, where there is one."""
    config_place: str = "adapter_config.json"
    place: str = "the weights"
    """The weight file, for messages."""


def layout_of(tensor_names: Sequence[str], config: Mapping[str, object] | None) -> str | None:
    """The layout of a file, or None for an unknown one.

    A configuration with a ``peft_type`` decides for PEFT wherever the names allow it: PEFT adapts
    diffusers' models too.
    """
    is_peft = config is not None and "peft_type" in config
    for pattern, layout in _MARKS:
        if any(pattern.search(name) for name in tensor_names):
            return PEFT_LAYOUT if is_peft and layout == DIFFUSERS_LAYOUT else layout
    return None


def read_adapter(file: AdapterFile) -> AdapterContents:
    """Reads what a file holds, in whatever layout it is.

    Args:
        file: The file's tensors, header and configuration.

    Returns:
        Every tensor of the file, in pairs or by its kind.

    Raises:
        ConfigError: The configuration is damaged or lacks what the layout needs.
        AdapterError: A PEFT adapter has no configuration, or a tensor's name cannot be printed.
        UnsupportedAdapterError: The layout is unknown, or the method has no low-rank update.
    """
    _refuse_control_characters(file)
    if file.config is not None and "peft_type" in file.config:
        config = peft_lora_config(file.config, file.config_place)
        require_low_rank(config.peft_type, file.config_place)
        require_plain_product(file.config, file.config_place)
        if layout_of([t.name for t in file.tensors], file.config) == PEFT_LAYOUT:
            return read_peft(file.tensors, config, file.scalars)
    layout = layout_of([tensor.name for tensor in file.tensors], file.config)
    match layout:
        case "kohya":
            return read_kohya(file.tensors, file.scalars, file.metadata)
        case "diffusers":
            return read_diffusers(file.tensors, file.scalars, file.metadata)
        case "cloneofsimo":
            return read_cloneofsimo(file.tensors)
        case "mlx-lm":
            return read_mlx(file.tensors, file.config or {}, file.config_place)
        case "PEFT":
            raise AdapterError(
                f"{file.place}: expected {file.config_place} beside PEFT weights, found none with "
                "a 'peft_type'; without it the scale of the update is unknown. Name it with "
                "--adapter-config."
            )
    raise UnsupportedAdapterError(unknown_layout(file))


def _refuse_control_characters(file: AdapterFile) -> None:
    """A name that is shown must not be able to steer a terminal."""
    for tensor in file.tensors:
        if not tensor.name.isprintable():
            raise AdapterError(
                f"{file.place}: expected printable tensor names, found {tensor.name!r}, which no "
                "tool writes. Do not trust this file."
            )


def unknown_layout(file: AdapterFile) -> str:
    """What a refusal says: the names it saw, and the layouts that are known."""
    names = [tensor.name for tensor in file.tensors]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    seen = ", ".join(names[:NAMES_SHOWN]) + more if names else "no tensor at all"
    for pattern, what in _DECLINED:
        if any(pattern.search(name) for name in names):
            return (
                f"{file.place}: expected LoRA factors, found {what}: they have no low-rank "
                f"spectrum of their own to audit. Tensors: {seen}."
            )
    known = "; ".join(f"{layout}: {form}" for layout, form in LAYOUTS.items())
    return (
        f"{file.place}: expected LoRA factors of a known layout, found {seen}. Known layouts are "
        f"{known}."
    )
