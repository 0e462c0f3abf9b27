"""Names the layout of a LoRA file from its tensors' names, for refusals."""

import re
from collections.abc import Sequence

PEFT_LAYOUT = "PEFT"
"""The layout that is audited."""

_LAYOUTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.lora_[AB](\.|$)"), PEFT_LAYOUT),
    (re.compile(r"\.lora_embedding_[AB]"), f"{PEFT_LAYOUT}, embedding factors alone"),
    (re.compile(r"\.lora_(down|up)\.weight$"), "kohya (lora_down / lora_up)"),
    (re.compile(r"(\.lora\.|_lora\.|\.lora_linear_layer\.)(up|down)\b"), "diffusers, old form"),
    (re.compile(r"^(unet|text_encoder):\d+:(up|down)$"), "cloneofsimo (unet:N:up / down)"),
    (re.compile(r"\.lora_[ab]$"), "mlx-lm (transposed lora_a / lora_b)"),
    (re.compile(r"\.(hada_w|lokr_w|oft_)"), "LyCORIS (LoHa, LoKr or OFT)"),
)


def layout_name(tensor_names: Sequence[str]) -> str:
    """The layout that the first matching tensor name belongs to.

    Args:
        tensor_names: The tensors of a file.

    Returns:
        The layout, or the first names where none is known.
    """
    for pattern, layout in _LAYOUTS:
        if any(pattern.search(name) for name in tensor_names):
            return layout
    shown = ", ".join(tensor_names[:4]) or "no tensor at all"
    return f"an unknown layout (tensors: {shown})"
