"""How an adapter's configuration fits the model that it is for: what the check reports."""

from collections.abc import Mapping

import msgspec


class ModuleFit(msgspec.Struct, frozen=True, kw_only=True):
    """One adapted module, or parameter, of the model.

    ``scaling`` is s in W + s·B·A; ``params`` counts what is trained of it.
    """

    name: str
    in_features: int
    out_features: int
    r: int
    alpha: float
    scaling: float
    params: int


class ModelFit(msgspec.Struct, frozen=True, kw_only=True):
    """What PEFT would make of the configuration and the model; ``None`` where it is not known.

    Memory is that of the weights that are trained: base weights and activations are not in it.
    """

    model_type: str | None = None
    n_layers: int | None = None
    base_params: int | None = None
    """Parameters of the model before it is adapted; tied ones once."""
    modules: tuple[ModuleFit, ...] = ()
    matched: Mapping[str, int] = {}
    """Each target → how many modules it matches."""
    unmatched_targets: tuple[str, ...] = ()
    unmatched_patterns: tuple[str, ...] = ()
    """Keys of ``rank_pattern`` and ``alpha_pattern`` that match no adapted module."""
    trainable_params: int | None = None
    """LoRA factors, modules to save and biases, as PEFT counts them."""
    saved_module_params: int = 0
    """Of these, the ones of ``modules_to_save``."""
    adapter_bytes: int | None = None
    """Size of adapter_model.safetensors as PEFT saves it, within 1 %."""
    optimizer_bytes: int | None = None
    """States of the named optimizer; ``None`` where it is not named or not known."""
    gradient_bytes: int | None = None
    """One gradient for each trained weight, in the weights' dtype."""
    weight_bytes: int | None = None
    """The trained weights themselves."""
    max_rank: int | None = None
    reason: str | None = None
    """Why nothing, or not everything, could be worked out."""
