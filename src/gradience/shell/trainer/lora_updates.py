"""The LoRA updates of a live PEFT model, and the modules that have none of the usual form."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, cast

import torch

from gradience.core.adapter.peft_config import BASE_CHANGING_INITS
from gradience.core.training.parameter_names import base_module_name

PLAIN_VARIANTS = frozenset({"ALoraLinearVariant"})
"""Variants of PEFT whose update is s·B·A as well (aLoRA, which only chooses the tokens)."""

DORA_VARIANT = "Dora"
"""Begins the names of the variants that rescale the outputs of W + s·B·A."""

OTHER_FORMS = {
    "ParamWrapper": "factors of stacked experts",
    "LoraParallelLinear": "tensor parallelism",
}
"""PEFT's layers, by class, whose factors are no matrices of one whole update."""


class LiveUpdate(NamedTuple):
    """The update s·B·A of one module by one adapter, as it is trained."""

    module: str
    a: torch.Tensor
    """(r, …), trailing dimensions being those of d_in."""
    b: torch.Tensor
    """(d_out, r, …), trailing dimensions of size 1."""
    scale: float
    dora: bool


class LiveUpdates(NamedTuple):
    """All of a model."""

    updates: list[LiveUpdate]
    skipped: dict[str, list[str]]
    """Modules by the reason for which they are left out."""


class _LoraLayer(Protocol):
    """What is read of PEFT's ``LoraLayer``."""

    scaling: Mapping[str, float]
    lora_A: Mapping[str, torch.nn.Module]  # noqa: N815  PEFT's names
    lora_B: Mapping[str, torch.nn.Module]  # noqa: N815  PEFT's names
    lora_embedding_A: Mapping[str, torch.Tensor]  # noqa: N815  PEFT's names
    lora_embedding_B: Mapping[str, torch.Tensor]  # noqa: N815  PEFT's names
    lora_variant: Mapping[str, object]


class _Found(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


def live_updates(model: torch.nn.Module) -> LiveUpdates:
    """Finds the updates of every adapter that is trained.

    Args:
        model: A model with PEFT's LoRA layers anywhere in it, wrapped or not; one without PEFT
            has none.

    Returns:
        The updates; of several trained adapters on one module each has the adapter's name behind
        the module's, in brackets.
    """
    found = LiveUpdates([], {})
    inits = dict(_initialisations(model))
    for path, layer in _lora_layers(model):
        adapters = list(layer.scaling)
        for adapter in adapters:
            name = base_module_name(path) + (f"[{adapter}]" if len(adapters) > 1 else "")
            factors = _factors(layer, adapter)
            reason = _left_out(layer, adapter, factors, inits.get(adapter))
            if reason is not None or factors is None:
                found.skipped.setdefault(reason or "no factors", []).append(name)
                continue
            dora = _variant(layer, adapter).startswith(DORA_VARIANT)
            scale = float(layer.scaling[adapter])
            found.updates.append(LiveUpdate(name, factors.a, factors.b, scale, dora))
    return found


def _lora_layers(model: torch.nn.Module) -> Iterator[tuple[str, _LoraLayer]]:
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError:
        return
    for path, module in model.named_modules():
        if isinstance(module, LoraLayer):
            yield path, cast("_LoraLayer", module)


def _initialisations(model: torch.nn.Module) -> Iterator[tuple[str, str]]:
    """``init_lora_weights`` of each adapter, where it is a word."""
    for module in model.modules():
        configs = getattr(module, "peft_config", None)
        if isinstance(configs, Mapping):
            for adapter, config in configs.items():
                yield adapter, str(getattr(config, "init_lora_weights", "")).lower()
            return


def _factors(layer: _LoraLayer, adapter: str) -> _Found | None:
    if adapter in layer.lora_embedding_A:
        return _Found(layer.lora_embedding_A[adapter], layer.lora_embedding_B[adapter])
    if adapter not in layer.lora_A or adapter not in layer.lora_B:
        return None
    a = getattr(layer.lora_A[adapter], "weight", None)
    b = getattr(layer.lora_B[adapter], "weight", None)
    return _Found(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else None


def _variant(layer: _LoraLayer, adapter: str) -> str:
    variant = layer.lora_variant.get(adapter)
    return "" if variant is None else type(variant).__name__


def _left_out(
    layer: _LoraLayer, adapter: str, factors: _Found | None, init: str | None
) -> str | None:
    """Why an update is not looked at, or None."""
    kind, variant = type(layer).__name__, _variant(layer, adapter)
    if kind in OTHER_FORMS:
        return OTHER_FORMS[kind]
    if hasattr(layer, "lora_E"):
        return "AdaLoRA"
    if variant and variant not in PLAIN_VARIANTS and not variant.startswith(DORA_VARIANT):
        return f"variant {variant}"
    if factors is None:
        return "no factors"
    if not (factors.a.requires_grad or factors.b.requires_grad):
        return "frozen"
    if init is not None and init.startswith(BASE_CHANGING_INITS):
        return f"initialisation {init}: B·A is not the update"
    return _unfit(factors)


def _unfit(factors: _Found) -> str | None:
    a, b = factors
    if any(t.is_meta or not t.numel() or hasattr(t, "to_local") for t in factors):
        return "spread over processes or not loaded"
    if b.flatten(1).shape[1] != a.shape[0]:
        return "grouped convolution"
    return None
