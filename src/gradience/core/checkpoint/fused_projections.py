"""Projections that some checkpoints store stacked and others apart: q, k, v; gate and up."""

from typing import NamedTuple


class Fusion(NamedTuple):
    """Parts that are stacked along their output dimension, one whole after another."""

    parts: tuple[str, ...]
    fused: tuple[str, ...]


_QKV = ("qkv_proj", "Wqkv", "W_pack", "qkv", "in_proj", "c_attn")

FUSIONS = (
    Fusion(("q_proj", "k_proj", "v_proj"), _QKV),
    Fusion(("query", "key", "value"), _QKV),
    Fusion(("q", "k", "v"), _QKV),
    Fusion(("to_q", "to_k", "to_v"), ("to_qkv",)),
    Fusion(("gate_proj", "up_proj"), ("gate_up_proj", "weights_in")),
    Fusion(("up_proj", "gate_proj"), ("up_gate_proj",)),
    Fusion(("w1", "w3"), ("w13", "gate_up_proj")),
)
"""Left out: ``query_key_value`` (GPT-NeoX, BLOOM and Falcon interleave it per head) and ``wqkv``
(InternLM2 interleaves it per group of heads); they match under their own names alone."""

INTERLEAVED = frozenset({"gpt_oss", "gpt_bigcode", "codegen"})
"""Model types that use one of the names above for rows that are interleaved in some form."""

QKV_PARTS = 3


class Rows(NamedTuple):
    """A run of rows of a weight as (d_out, d_in); of columns where it is stored transposed."""

    start: int
    stop: int


def fused_leaves(leaf: str) -> tuple[tuple[str, Fusion], ...]:
    """The names under which a part may be stored with others, and which fusion each is."""
    return tuple(
        (name, fusion) for fusion in FUSIONS if leaf in fusion.parts for name in fusion.fused
    )


def part_leaves(leaf: str) -> tuple[tuple[str, ...], ...]:
    """The parts as which a fused projection may be stored, in the order of its rows."""
    return tuple(fusion.parts for fusion in FUSIONS if leaf in fusion.fused)


def part_rows(fusion: Fusion, leaf: str, size: int, total: int) -> Rows | None:
    """The rows of one part of a stacked projection.

    Of q, k and v, q may be larger: k and v are of one size, of which q's is a multiple
    (grouped-query attention). Gate and up are halves.

    Args:
        fusion: The parts and their order.
        leaf: The part.
        size: Its rows, the update's d_out.
        total: The rows of the stacked projection.

    Returns:
        The rows, or None where the sizes do not add up.
    """
    place = fusion.parts.index(leaf)
    if len(fusion.parts) < QKV_PARTS:
        return Rows(place * size, (place + 1) * size) if size * len(fusion.parts) == total else None
    shared, rest = (size, 0) if place else divmod(total - size, 2)
    query = total - 2 * shared
    if rest or shared <= 0 or query < shared or query % shared:
        return None
    start = query + (place - 1) * shared if place else 0
    return Rows(start, start + size)
