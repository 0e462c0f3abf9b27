"""How the weight that an update is added to is made of a checkpoint's tensors."""

from collections.abc import Callable, Sequence

import attrs

from gradience.core.adapter.tensors import MATRIX_DIMENSIONS
from gradience.core.checkpoint.base_names import AmbiguousName, find_path
from gradience.core.checkpoint.fused_projections import (
    INTERLEAVED,
    Rows,
    fused_leaves,
    part_leaves,
    part_rows,
)
from gradience.core.checkpoint.replicated_layers import LayerRanges, source_module
from gradience.core.checkpoint.stacked_experts import expert_parts, stacked_expert
from gradience.core.checkpoint.stored_weights import (
    CheckpointWeights,
    StoredWeight,
    Update,
    fits,
    stored_problem,
    weight_path,
)
from gradience.core.checkpoint.tied_embeddings import is_embedding, is_head, tied_paths

NOT_FOUND = "no weight of that name in the checkpoint"


@attrs.frozen(kw_only=True)
class WeightTarget:
    """What an update is added to."""

    module: str
    """The module's name in the model that was adapted."""
    shape: Update
    """(d_out, d_in) of the update."""
    parameter: str | None = None
    """The module's parameter where it is not ``weight`` (PEFT's ``target_parameters``)."""
    expert: int | None = None
    """The expert, where the parameter is a stack of them."""


@attrs.frozen
class WeightPart:
    """A stored weight or a piece of one."""

    weight: StoredWeight
    expert: int | None = None
    """Index into the first dimension of a stack of experts."""
    rows: Rows | None = None
    """The piece along the recipe's axis; None for all of it."""

    def __str__(self) -> str:
        """The tensor and what is taken of it."""
        expert = "" if self.expert is None else f"[{self.expert}]"
        rows = "" if self.rows is None else f" rows {self.rows.start} to {self.rows.stop}"
        return self.weight.label + expert + rows


@attrs.frozen
class WeightRecipe:
    """A base weight: one part, or several joined in order."""

    parts: tuple[WeightPart, ...]
    axis: int = 0
    """The output dimension of the parts as stored (1: transposed): rows are cut and parts are
    joined along it. Of no meaning for one whole part."""

    def __str__(self) -> str:
        """The tensors that it is made of."""
        return " + ".join(str(part) for part in self.parts)


Found = WeightRecipe | str | None
"""A recipe, why there can be none, or nothing of that kind in the checkpoint."""


def find_recipe(
    target: WeightTarget, weights: CheckpointWeights, replicated: LayerRanges = ()
) -> WeightRecipe | str:
    """The recipe of the weight that an update is added to, or why there is none.

    Looked for in this order: the module's own weight; a slice of a stacked projection; the parts
    of one; an expert's slice of a stack, or an expert's own tensors; the tied embedding.

    Args:
        target: The module and the update's shape.
        weights: The checkpoint.
        replicated: ``layer_replication`` of the adapter's configuration.
    """
    module = source_module(target.module, replicated)
    if module is None:
        return f"layer_replication makes no layer for {target.module}"
    target = attrs.evolve(target, module=module)
    plain = target.parameter in {None, "weight"} and target.expert is None
    ways = _WAYS if plain else _PARAMETER_WAYS
    for way in ways:
        found = way(target, weights)
        if found is not None:
            return found
    return NOT_FOUND


def _own(target: WeightTarget, weights: CheckpointWeights) -> Found:
    """The module's weight; of torch's attention module that of its input projection."""
    for name in (target.module, f"{target.module}.in_proj"):
        found = _lookup(name, target, weights)
        if found is not None:
            return found if isinstance(found, str) else _whole(found, target)
    return None


def _slice_of_fused(target: WeightTarget, weights: CheckpointWeights) -> Found:
    parent, leaf = _parent_and_leaf(target.module)
    for name, fusion in fused_leaves(leaf):
        found = _lookup(parent + name, target, weights)
        if found is None or isinstance(found, str):
            if found is not None:
                return found
            continue
        axis, total = _output_axis(found, target)
        rows = part_rows(fusion, leaf, target.shape[0], total)
        if rows is None or weights.facts.model_type in INTERLEAVED:
            return f"{found.path} of shape {found.shape} does not show which rows are {leaf}'s"
        return WeightRecipe((WeightPart(found, rows=rows),), axis)
    return None


def _stack_of_parts(target: WeightTarget, weights: CheckpointWeights) -> Found:
    parent, leaf = _parent_and_leaf(target.module)
    for leaves in part_leaves(leaf):
        found = _join([parent + part for part in leaves], target, weights)
        if found is not None:
            return found
    return None


def _expert_of_stack(target: WeightTarget, weights: CheckpointWeights) -> Found:
    """A module that is one expert, where the checkpoint stacks all of them."""
    for place in stacked_expert(target.module):
        found = _lookup(place.parameter, target, weights)
        if found is None or isinstance(found, str):
            if found is not None:
                return found
            continue
        if place.half is None:
            return _expert(found, place.expert, target)
        return _half_expert(found, place.expert, place.half, target, weights)
    return None


def _tied(target: WeightTarget, weights: CheckpointWeights) -> Found:
    if not (is_head(target.module) or is_embedding(target.module)):
        return None
    if weights.facts.tied_embeddings is False and is_head(target.module):
        return f"{NOT_FOUND}, whose embeddings are not tied"
    paths = tied_paths(target.module, weights.by_path)
    paths = tuple(path for path in paths if fits(weights.shape(path), target.shape))
    if len(paths) > 1:
        return str(AmbiguousName(paths))
    stored = weights.stored(paths[0]) if paths else None
    return stored if stored is None or isinstance(stored, str) else _whole(stored, target)


def _parameter(target: WeightTarget, weights: CheckpointWeights) -> Found:
    name = weight_path(f"{target.module}.{target.parameter}")
    found = _lookup(name, target, weights)
    if found is None or isinstance(found, str):
        return found
    if target.expert is not None:
        return _expert(found, target.expert, target)
    if found.shape is not None and len(found.shape) > MATRIX_DIMENSIONS:
        return f"{found.path} of shape {found.shape} holds several weights: which expert?"
    return _whole(found, target)


def _parts_of_expert(target: WeightTarget, weights: CheckpointWeights) -> Found:
    """A stacked parameter, where the checkpoint holds tensors for each expert.

    PEFT takes a stack as (experts, in, out) whichever way round it is, so the update may be the
    transpose of the weight.
    """
    if target.parameter is None or target.expert is None:
        return None
    turned = attrs.evolve(target, shape=target.shape[::-1])
    for parts in expert_parts(target.module, target.parameter, target.expert):
        found = _join(list(parts), target, weights)
        if found is not None:
            other = _join(list(parts), turned, weights) if isinstance(found, str) else None
            return other if isinstance(other, WeightRecipe) else found
    return None


_WAYS: Sequence[Callable[[WeightTarget, CheckpointWeights], Found]] = (
    _own,
    _slice_of_fused,
    _stack_of_parts,
    _expert_of_stack,
    _tied,
)
_PARAMETER_WAYS: Sequence[Callable[[WeightTarget, CheckpointWeights], Found]] = (
    _parameter,
    _parts_of_expert,
)


def _lookup(
    name: str, target: WeightTarget, weights: CheckpointWeights
) -> StoredWeight | str | None:
    path = find_path(name, weights.names, lambda path: fits(weights.shape(path), target.shape))
    if path is None:
        return None
    return str(path) if isinstance(path, AmbiguousName) else weights.stored(path)


def _whole(weight: StoredWeight, target: WeightTarget) -> WeightRecipe | str:
    return stored_problem(weight, target.shape) or WeightRecipe((WeightPart(weight),))


def _join(names: Sequence[str], target: WeightTarget, weights: CheckpointWeights) -> Found:
    """The weights of some names, one after another along their output dimension."""
    found = [_lookup(name, target, weights) for name in names]
    if None in found:
        return None
    stored = [each for each in found if isinstance(each, StoredWeight)]
    if len(stored) < len(found):
        return next(each for each in found if isinstance(each, str))
    axes, sizes = zip(*(_output_axis(each, target) for each in stored), strict=True)
    if sum(sizes) != target.shape[0] or len(set(axes)) > 1:
        shapes = ", ".join(f"{each.path} {each.shape}" for each in stored)
        return f"{shapes} do not join to the update's {target.shape}"
    return WeightRecipe(tuple(WeightPart(each) for each in stored), axes[0])


def _expert(weight: StoredWeight, expert: int, target: WeightTarget) -> WeightRecipe | str:
    shape = weight.shape
    if shape is None:
        return WeightRecipe((WeightPart(weight, expert),))
    if len(shape) != MATRIX_DIMENSIONS + 1 or not fits(shape[1:], target.shape):
        return f"{weight.path} has shape {shape}, an expert's update {target.shape}"
    if expert >= shape[0]:
        return f"{weight.path} holds {shape[0]} experts, the update is of expert {expert}"
    return WeightRecipe((WeightPart(weight, expert),))


def _half_expert(
    weight: StoredWeight, expert: int, half: int, target: WeightTarget, weights: CheckpointWeights
) -> WeightRecipe | str:
    d_out, d_in = target.shape
    whole = attrs.evolve(target, shape=(2 * d_out, d_in))
    found = _expert(weight, expert, whole)
    if isinstance(found, str):
        return found
    shape = weight.shape
    if shape is None or shape[1] == shape[2] or weights.facts.model_type in INTERLEAVED:
        return f"{weight.path} of shape {shape} does not show which half is {target.module}'s"
    axis = 0 if shape[2] == d_in else 1
    rows = Rows(half * d_out, (half + 1) * d_out)
    return WeightRecipe((WeightPart(weight, expert, rows),), axis)


def _output_axis(weight: StoredWeight, target: WeightTarget) -> tuple[int, int]:
    """The output dimension of a stored matrix and its extent; 0 where the input does not fit."""
    shape = weight.shape
    if shape is None or len(shape) != MATRIX_DIMENSIONS:
        return 0, 0
    d_in = target.shape[1]
    if shape[1] == d_in:
        return 0, shape[0]
    return (1, shape[1]) if shape[0] == d_in else (0, 0)


def _parent_and_leaf(module: str) -> tuple[str, str]:
    parent, dot, leaf = module.rpartition(".")
    return parent + dot, leaf
