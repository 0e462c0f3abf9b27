"""Experts that some checkpoints store one tensor each and others as one three-dimensional stack.

The names are those of Mixtral (``w1``, ``w3``, ``w2``) and Qwen2-MoE (``gate_proj``, ``up_proj``,
``down_proj``) as merged by transformers 5: gate and up one after another, in that order.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "gate_up_proj": (("gate_proj", "up_proj"), ("w1", "w3")),
    "gate_proj": (("gate_proj",), ("w1",)),
    "up_proj": (("up_proj",), ("w3",)),
    "down_proj": (("down_proj",), ("w2",)),
}
"""Stacked parameter → the tensors of one expert that make its slice, under either naming."""

_EXPERT = re.compile(r"^(?P<experts>.+)\.(?P<expert>\d+)\.(?P<leaf>[^.]+)$")


class ExpertPlace(NamedTuple):
    """Where one expert's weight lies in a stack."""

    parameter: str
    """Name of the stacked parameter."""
    expert: int
    half: int | None
    """0 for the first half of its output dimension, 1 for the second, None for all."""


def expert_parts(module: str, parameter: str, expert: int) -> tuple[tuple[str, ...], ...]:
    """The names of one expert's own tensors, in order, for each naming.

    Args:
        module: The module that holds the experts.
        parameter: The stacked parameter; others than those of :data:`PARTS` have none.
        expert: Its index.
    """
    return tuple(
        tuple(f"{module}.{expert}.{leaf}" for leaf in leaves) for leaves in PARTS.get(parameter, ())
    )


def stacked_expert(module: str) -> tuple[ExpertPlace, ...]:
    """Where the weight of a module that is one expert's may lie in a stack; none for others."""
    match = _EXPERT.match(module)
    if match is None:
        return ()
    return tuple(
        ExpertPlace(
            f"{match['experts']}.{parameter}",
            int(match["expert"]),
            leaves.index(match["leaf"]) if len(leaves) > 1 else None,
        )
        for parameter, namings in PARTS.items()
        for leaves in namings
        if match["leaf"] in leaves
    )
