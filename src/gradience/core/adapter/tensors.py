"""What an adapter file holds: LoRA pairs, and every other tensor under its name."""

import math
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

import attrs

from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.adapter.scaling import ModuleScaling

MATRIX_DIMENSIONS = 2

STACK_DIMENSIONS = 3


class TensorInfo(NamedTuple):
    """A tensor as the file's header describes it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """safetensors' name of the type: ``F32``, ``BF16`` …"""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class TensorKind(Enum):
    """What a tensor that is no LoRA factor is."""

    BIAS = "bias"
    BASE_COPY = "copy of a base weight"
    ORIGINAL_MODULE = "copy of a module before training"
    SAVED_MODULE = "module saved whole"
    FULL_DIFFERENCE = "full-rank difference"
    DORA_MAGNITUDE = "DoRA magnitude"
    LORA_BIAS = "bias of a LoRA factor"
    SCALING = "alpha or rank of a module"
    SINGULAR_VALUES = "AdaLoRA singular values"
    TRAINABLE_TOKENS = "trained token rows"
    UNREAD_FACTOR = "LoRA tensor of a form that is not audited"


class FactorForm(Enum):
    """How the stored factors become A (r, d_in) and B (d_out, r)."""

    MATRICES = "matrices"
    """As they are; trailing dimensions (convolutions) are flattened."""
    TRANSPOSED = "transposed"
    """A stored (d_in, r), B (r, d_out)."""
    EXPERT_ROWS = "expert rows"
    """Experts within one matrix: A (E·r, d_in) by expert, B (d_out, r·E) by direction."""
    EXPERT_STACK = "expert stack"
    """A (E, r, d_in), B (E, d_out, r)."""


@attrs.frozen
class LoraPair:
    """The two factors of one module's update s·B·A."""

    module: str
    """Name in the base model, without prefixes; as PEFT's patterns match it."""
    a: TensorInfo
    """The factor on the input's side."""
    b: TensorInfo
    """The factor on the output's side."""
    scaling: ModuleScaling
    """Configured rank, alpha, and the s that the actual rank gives."""
    form: FactorForm = FactorForm.MATRICES
    experts: int | None = None
    """Number of experts, each with an update of its own; None for a plain module."""
    parameter: str | None = None
    """The parameter adapted, where that is not the module's ``weight``."""
    values: TensorInfo | None = None
    """AdaLoRA's E, (r, 1): the update is s·B·diag(E)·A."""
    kept: tuple[int, ...] | None = None
    """AdaLoRA's directions that its rank mask keeps; None for all."""

    @property
    def rank(self) -> int:
        """The rank of the stored factors (of one expert)."""
        if self.kept is not None:
            return len(self.kept)
        match self.form:
            case FactorForm.TRANSPOSED | FactorForm.EXPERT_STACK:
                return self.a.shape[1]
            case FactorForm.EXPERT_ROWS:
                return self.a.shape[0] // (self.experts or 1)
            case FactorForm.MATRICES:
                return self.a.shape[0]

    @property
    def update_shape(self) -> tuple[int, int]:
        """(d_out, d_in) of the update (of one expert)."""
        match self.form:
            case FactorForm.TRANSPOSED:
                return self.b.shape[1], self.a.shape[0]
            case FactorForm.EXPERT_STACK:
                return self.b.shape[1], self.a.shape[2]
            case FactorForm.MATRICES | FactorForm.EXPERT_ROWS:
                return self.b.shape[0], math.prod(self.a.shape[1:])


@attrs.frozen(kw_only=True)
class AdapterContents:
    """Every tensor of a file, each in exactly one place."""

    layout: str
    """The layout's name, for people."""
    pairs: tuple[LoraPair, ...] = ()
    copies: tuple[LoraPair, ...] = ()
    """Further copies of a pair, under ``modules_to_save`` or ``original_module``."""
    other_adapters: tuple[LoraPair, ...] = ()
    """Pairs of further adapters in the same file, under another adapter name."""
    incomplete: tuple[TensorInfo, ...] = ()
    """An A without its B, or the reverse."""
    others: tuple[tuple[TensorInfo, TensorKind], ...] = ()
    config: PeftLoraConfig | None = None
    """PEFT's configuration, where the adapter has one."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how this file was read."""
    training_metadata: Mapping[str, str] = {}
    """What the file's header tells of the training (kohya's ``ss_*``)."""
