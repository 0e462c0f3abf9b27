"""What a module's dotted name tells: its layer and its part in the transformer block."""

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
    "in_proj", "to_q", "to_k", "to_v", "to_out", "q", "k", "v", "o", "wq", "wk", "wv",
    "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj",
})
_MLP_LEAVES = frozenset({
    "gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "fc_in", "fc_out", "c_fc",
    "lin1", "lin2", "wi", "wi_0", "wi_1", "wo", "w1", "w2", "w3", "dense_h_to_4h",
    "dense_4h_to_h",
})
# fmt: on
_ATTENTION_WORDS = re.compile(r"attn|attention", re.IGNORECASE)
_MLP_WORDS = re.compile(
    r"mlp|ffn|feed_?forward|dense_?relu|intermediate|experts?\b|layer\.\d+\.output$",
    re.IGNORECASE,
)
_LAYER = re.compile(r"^(?P<name>(?:.*?\.)?(?P<index>\d+))(?=\.|$)")
_INNER = re.compile(r"^\.(?:blocks|layers)\.(?P<index>\d+)(?=\.|$)")


def module_type(name: str) -> ModuleType:
    """Attention, MLP or other, from the module's dotted name.

    A word in the path decides before the last component does: T5's ``wo`` and GPT-2's ``c_proj``
    mean either, depending on where they stand.

    Args:
        name: A module's name in the base model.

    Returns:
        The type; ``other`` where the name tells nothing.
    """
    path, _, leaf = name.rpartition(".")
    if _ATTENTION_WORDS.search(path):
        return ModuleType.ATTENTION
    if _MLP_WORDS.search(path):
        return ModuleType.MLP
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
    """The layer of a module: the path up to its first number.

    Where blocks are numbered within numbered stages (``stages.0.blocks.2``), the path goes up to
    the block. Sub-modules numbered within a layer (T5's ``block.0.layer.1``, an expert) belong to
    the layer.

    Args:
        name: A module's name in the base model.

    Returns:
        The place, or None for a module outside any layer (a head, an embedding).
    """
    match = _LAYER.match(name)
    if match is None:
        return None
    inner = _INNER.match(name[match.end() :])
    if inner is None:
        return LayerPlace(match["name"], int(match["index"]))
    return LayerPlace(match["name"] + inner.group(), int(inner["index"]))
