"""A model as a list of the modules that own parameters, and what adapters see of each."""

import math
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import attrs

Shape = tuple[int, ...]


class ModuleKind(Enum):
    """How an adapter treats a module."""

    LINEAR = "linear"
    CONV1D = "conv1d"
    """transformers' Conv1D: a linear layer whose weight is stored as (d_in, d_out)."""
    CONVOLUTION = "convolution"
    EMBEDDING = "embedding"
    OTHER = "other"
    """A norm, a router, a stack of experts: LoRA reaches its parameters at most by name."""


LINEAR_KINDS = frozenset({ModuleKind.LINEAR, ModuleKind.CONV1D})
"""What PEFT's ``all-linear`` stands for."""


class Parameter(NamedTuple):
    """A parameter that a module owns itself."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


class ModelModule(NamedTuple):
    """A module with parameters of its own."""

    name: str
    """Dotted name in memory; empty for the model itself."""
    kind: ModuleKind
    in_features: int
    """Of an embedding: its rows. Of a convolution: its channels. 0 where it has no meaning."""
    out_features: int
    parameters: tuple[Parameter, ...]
    kernel: Shape = ()
    groups: int = 1
    shared: frozenset[str] = frozenset()
    """Its parameters that are another module's, too, and are counted there."""
    transposed: bool = False
    """Whether stacks of experts are (experts, d_in, d_out)."""

    @property
    def size(self) -> int:
        """How many numbers its parameters hold."""
        return sum(parameter.size for parameter in self.parameters)

    @property
    def unshared_size(self) -> int:
        """The same without what is counted elsewhere."""
        return sum(each.size for each in self.parameters if each.name not in self.shared)

    @property
    def bias(self) -> int:
        """How many numbers its ``bias`` holds, 0 without one."""
        return sum(each.size for each in self.parameters if each.name == "bias")


@attrs.frozen(kw_only=True)
class Architecture:
    """A model's modules, in an order that nothing depends on, and what is known beside them."""

    model_type: str
    modules: tuple[ModelModule, ...]
    n_layers: int | None = None
    input_embedding: str | None = None
    """The module that ``get_input_embeddings`` gives."""
    output_embedding: str | None = None
    """The module that ``get_output_embeddings`` gives."""
    tied: bool = False
    """``tie_word_embeddings``."""
    dtype: str | None = None
    """The checkpoint's dtype by config.json."""
    quantised: bool = False
    """Whether config.json names a quantisation."""
    older_names: tuple[tuple[str, str], ...] = ()
    """Parts of names, and what they were in releases of transformers that are still in use."""

    @property
    def size(self) -> int:
        """Parameters of the whole model, shared ones once."""
        return sum(module.unshared_size for module in self.modules)

    def containers(self) -> frozenset[str]:
        """Names of the modules that own parameters only through others within them."""
        return frozenset(parent for module in self.modules for parent in _parents(module.name))


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for end in range(1, len(parts)):
        yield ".".join(parts[:end])


def under(name: str, place: str) -> bool:
    """Whether a dotted name is ``place`` itself or lies below it."""
    return name == place or name.startswith(f"{place}.")
