"""The weights of a checkpoint by path, whether a tensor each or quantised in parts."""

import math
from collections.abc import Iterable, Mapping

import attrs

from gradience.core.adapter.tensors import MATRIX_DIMENSIONS, TensorInfo
from gradience.core.checkpoint.base_names import CheckpointNames, index_names
from gradience.core.checkpoint.facts import CheckpointFacts
from gradience.core.quantisation.declined import PLAIN_DTYPES, SIGNS
from gradience.core.quantisation.forms import QuantisedWeight, quantised_weight

Shape = tuple[int, ...]
Update = tuple[int, int]
"""(d_out, d_in) of an update."""

_PLAIN = ".weight"

WEIGHT_SUFFIXES = (*(ending for ending, _ in SIGNS), _PLAIN, ".qweight", "_weight")
"""What follows a module's name in the name of its weight: plain, of a quantisation, and
``in_proj_weight`` of torch's attention."""


@attrs.frozen
class StoredWeight:
    """One weight as a checkpoint stores it."""

    path: str
    tensor: TensorInfo
    """The tensor, or of a quantised weight the one with its values."""
    quantised: QuantisedWeight | None = None

    @property
    def shape(self) -> Shape | None:
        """As stored, or as dequantised; None where only dequantising tells."""
        return self.tensor.shape if self.quantised is None else self.quantised.shape

    @property
    def label(self) -> str:
        """Its name for people: the tensor's, or the module's where there are several."""
        return self.tensor.name if self.quantised is None else self.path

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors that are read for it."""
        if self.quantised is None:
            return (self.tensor.name,)
        return tuple(self.quantised.parts[role] for role in sorted(self.quantised.parts))


@attrs.frozen
class CheckpointWeights:
    """Every tensor of a checkpoint, and its weights by path."""

    facts: CheckpointFacts
    tensors: Mapping[str, TensorInfo]
    by_path: Mapping[str, TensorInfo]
    names: CheckpointNames

    def stored(self, path: str) -> StoredWeight | str:
        """The weight of a path, or why it cannot be read."""
        quantised = quantised_weight(path, self.tensors, self.facts.quantization)
        if isinstance(quantised, str):
            return quantised
        tensor = self.by_path[path]
        if quantised is None and tensor.dtype not in PLAIN_DTYPES:
            return f"{tensor.name} is stored as {tensor.dtype}, which is no plain number"
        return StoredWeight(path, tensor, quantised)

    def shape(self, path: str) -> Shape | None:
        """The shape of a path's weight; None where it is not known."""
        weight = self.stored(path)
        return None if isinstance(weight, str) else weight.shape


def checkpoint_weights(tensors: Iterable[TensorInfo], facts: CheckpointFacts) -> CheckpointWeights:
    """Indexes the tensors of a checkpoint.

    Args:
        tensors: Those of all its shards.
        facts: What its config.json says.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    by_path: dict[str, TensorInfo] = {}
    for tensor in by_name.values():
        path = weight_path(tensor.name)
        if tensor.name == path + _PLAIN or path not in by_path:
            by_path[path] = tensor
    return CheckpointWeights(facts, by_name, by_path, index_names(by_path, facts.model_type))


def weight_path(tensor_name: str) -> str:
    """A tensor's name without what says that it is a weight."""
    suffix = next((end for end in WEIGHT_SUFFIXES if tensor_name.endswith(end)), "")
    return tensor_name.removesuffix(suffix)


def fits(shape: Shape | None, update: Update) -> bool:
    """Whether a weight may be an update's: its shape, transposed, or a convolution's kernel.

    Args:
        shape: The weight's; None where it is not known yet.
        update: (d_out, d_in); of a convolution d_in counts channels times kernel.
    """
    if shape is None:
        return True
    if len(shape) > MATRIX_DIMENSIONS:
        return (shape[0], math.prod(shape[1:])) == update
    return shape in (update, update[::-1])


def stored_problem(weight: StoredWeight, update: Update) -> str | None:
    """Why a stored weight cannot be an update's, from its header alone, or None."""
    if fits(weight.shape, update):
        return None
    return f"{weight.label} has shape {weight.shape}, the update {update}"
