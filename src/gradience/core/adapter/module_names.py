"""What a module's name tells: its layer and its part in the transformer block."""

import itertools
import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import NamedTuple


class ModuleType(Enum):
    """The part of a transformer block that a module belongs to."""

    ATTENTION = "attn"
    MLP = "mlp"
    OTHER = "other"


class LayerPlace(NamedTuple):
    """The layer a module belongs to."""

    name: str
    """Path to the layer, such as ``model.layers.3`` or ``encoder.block.0``."""
    number: int


# fmt: off
_ATTENTION_LEAVES = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj", "q_lin", "k_lin", "v_lin",
    "out_lin", "query", "key", "value", "query_key_value", "c_attn", "qkv", "Wqkv", "wqkv",
    "W_pack", "in_proj", "to_q", "to_k", "to_v", "to_out", "q", "k", "v", "o", "wq", "wk", "wv",
    "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj",
})
_MLP_LEAVES = frozenset({
    "gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "fc_in", "fc_out", "c_fc",
    "lin1", "lin2", "wi", "wi_0", "wi_1", "wo", "w1", "w2", "w3", "dense_h_to_4h",
    "dense_4h_to_h", "pwconv1", "pwconv2", "proj_mlp",
})
# fmt: on
_ATTENTION_WORDS = re.compile(r"attn|attention", re.IGNORECASE)
_MLP_WORDS = re.compile(
    r"mlp|ffn|feed_?forward|dense_?relu|intermediate|experts?\b|^output\.dense$"
    r"|(?:^|[._])ff(?:_context)?(?=[._]|$)",
    re.IGNORECASE,
)

_LAYER_WORDS = (
    r"(?:layers?\d?|blocks?|stages?|h|attentions|ffns|resnets|resblocks|layer_groups"
    r"|downsamplers|upsamplers)"
)
"""Last words of the names of containers whose entries are layers; an expert is none."""
_INNER_WORDS = (
    r"(?:(?:transformer_|albert_)?(?:blocks|layers)|attentions|resnets|resblocks|downsamplers"
    r"|upsamplers)"
)
"""Of containers of layers that lie within a numbered stage; T5's ``block.0.layer.1`` is none."""


class _Naming(NamedTuple):
    """How a layer is found in names whose parts are separated one way."""

    layer: re.Pattern[str]
    inner: re.Pattern[str]


def _naming(separator: str) -> _Naming:
    dot = re.escape(separator)
    end = rf"(?={dot}|$)"
    return _Naming(
        re.compile(rf"(?:^|.*?[._]){_LAYER_WORDS}{dot}(?P<index>\d{{1,9}}){end}"),
        re.compile(rf"{dot}(?:{_INNER_WORDS}{dot})?(?P<index>\d{{1,9}}){end}"),
    )


_DOTTED, _UNDERSCORED = _naming("."), _naming("_")


def module_type(name: str) -> ModuleType:
    """Attention, MLP or other, from the module's name within its layer.

    A word decides before the last component does: T5's ``wo`` and GPT-2's ``c_proj`` mean either,
    depending on where they stand.

    Args:
        name: A module's name in the base model, or kohya's with underscores for dots.

    Returns:
        The type; ``other`` where the name tells nothing.
    """
    place = layer_place(name)
    within = name[len(place.name) + 1 :] if place else name
    if _ATTENTION_WORDS.search(within):
        return ModuleType.ATTENTION
    if _MLP_WORDS.search(within):
        return ModuleType.MLP
    leaf = within.rpartition(".")[2]
    if leaf in _ATTENTION_LEAVES:
        return ModuleType.ATTENTION
    if leaf in _MLP_LEAVES:
        return ModuleType.MLP
    return ModuleType.OTHER


def shared_path(paths: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The components that all paths begin with; none for no paths."""
    columns = zip(*paths, strict=False)
    return tuple(
        column[0] for column in itertools.takewhile(lambda part: len(set(part)) == 1, columns)
    )


def layer_place(name: str) -> LayerPlace | None:
    """The layer of a module: the path up to the first number of a layer or block.

    Where layers are numbered within numbered stages (``stages.0.blocks.2``,
    ``down_blocks.0.attentions.1.transformer_blocks.0``), the path goes up to the innermost.
    Sub-modules numbered within a layer (T5's ``block.0.layer.1``, an expert, ``to_out.0``) belong
    to the layer. kohya's names have underscores for dots.

    Args:
        name: A module's name in the base model.

    Returns:
        The place, or None for a module outside any layer (a head, an embedding) and for a name
        that tells none (cloneofsimo's ``unet:3``).
    """
    naming = _DOTTED if "." in name else _UNDERSCORED
    match = naming.layer.match(name)
    if match is None:
        return None
    while (inner := naming.inner.match(name, match.end())) is not None:
        match = inner
    return LayerPlace(name[: match.end()], int(match["index"]))
