"""A model and a configuration → how they fit: what is adapted, trained, saved and remembered."""

import math
from collections.abc import Mapping

import attrs
import msgspec

from gradience.core.adapter.peft_methods import LORA
from gradience.core.adapter.scaling import ModuleScaling, module_scaling, unmatched_keys
from gradience.core.architecture.adapter_settings import AdapterSettings, adapter_settings
from gradience.core.architecture.fit import ModelFit, ModuleFit
from gradience.core.architecture.memory import optimizer_bytes
from gradience.core.architecture.modules import Architecture, ModuleKind
from gradience.core.architecture.replication import replicated
from gradience.core.architecture.targets import Adapted, Resolution, resolve
from gradience.core.architecture.trained import (
    FLOAT32_BYTES,
    WeightBytes,
    file_bytes,
    item_bytes,
    lora_shapes,
    parameter_features,
    saved_size,
    trained_tensors,
)
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import ConfigError

FULL = "full"
"""The value of ``finetuning`` where every weight is trained."""

LARGEST_COUNT = 2**60
"""Counts beyond this are a damaged file, and no report could hold them."""

OLDER_NAMES = "the targets are module names of transformers 4, which version 5 has renamed"


def fit_model(architecture: Architecture, config: ConfigSnapshot) -> ModelFit:
    """What PEFT would make of a configuration and a model.

    Args:
        architecture: The model.
        config: The configuration, of any tool.

    Returns:
        The fit; its ``reason`` says what could not be worked out, and what PEFT would refuse.
    """
    if architecture.size > LARGEST_COUNT:
        return ModelFit(
            model_type=architecture.model_type, reason="the model would be beyond any size"
        )
    bare = ModelFit(
        model_type=architecture.model_type,
        n_layers=architecture.n_layers,
        base_params=architecture.size,
    )
    if config.extras.get("finetuning") == FULL:
        return msgspec.structs.replace(bare, trainable_params=architecture.size)
    reason = _no_adapter(config)
    if reason is not None:
        return msgspec.structs.replace(bare, reason=reason)
    try:
        fit = _fitted(bare, architecture, config)
    except ConfigError as error:
        return msgspec.structs.replace(bare, reason=str(error))
    if max(fit.trainable_params or 0, fit.adapter_bytes or 0) > LARGEST_COUNT:
        return msgspec.structs.replace(bare, reason="the adapter would be beyond any size")
    return fit


def _no_adapter(config: ConfigSnapshot) -> str | None:
    kind = config.extras.get("peft_type")
    if isinstance(kind, str) and kind.upper() != LORA:
        return f"the adapter is of type {kind}, whose size is not worked out"
    if config.lora.r is None and config.lora.target_modules is None:
        return "the configuration has no adapter"
    return None


def _fitted(bare: ModelFit, architecture: Architecture, config: ConfigSnapshot) -> ModelFit:
    """The fit; where no rank is given, what matches, and no sizes.

    Raises:
        ConfigError: The configuration has a value that PEFT could not take.
    """
    rank_known = config.lora.r is not None
    if not rank_known:
        config = msgspec.structs.replace(config, lora=msgspec.structs.replace(config.lora, r=1))
    adapter = adapter_settings(config)
    architecture = replicated(architecture, adapter.lora.layer_replication)
    bare = msgspec.structs.replace(bare, n_layers=architecture.n_layers)
    architecture, resolution, note = _resolved(architecture, adapter)
    if isinstance(resolution, str):
        return msgspec.structs.replace(bare, reason=resolution)
    matches = msgspec.structs.replace(
        bare,
        matched=dict(resolution.matched),
        unmatched_targets=_unmatched(resolution),
        unmatched_patterns=_unmatched_patterns(adapter, resolution),
    )
    if not rank_known:
        return msgspec.structs.replace(matches, reason="no rank is given")
    return _sized(matches, architecture, resolution, config, note)


def _resolved(
    architecture: Architecture, adapter: AdapterSettings
) -> tuple[Architecture, Resolution | str, tuple[str, ...]]:
    """The resolution, by the names of an older transformers where only these match."""
    resolution = resolve(architecture, adapter)
    if isinstance(resolution, str) or not architecture.older_names or not _unmatched(resolution):
        return architecture, resolution, ()
    older = _older(architecture)
    by_older = resolve(older, adapter)
    if isinstance(by_older, str) or len(_unmatched(by_older)) >= len(_unmatched(resolution)):
        return architecture, resolution, ()
    return older, by_older, (OLDER_NAMES,)


def _older(architecture: Architecture) -> Architecture:
    modules = []
    for module in architecture.modules:
        name = module.name
        for new, old in architecture.older_names:
            name = name.replace(new, old)
        modules.append(module._replace(name=name))
    return attrs.evolve(architecture, modules=tuple(modules))


def _unmatched(resolution: Resolution) -> tuple[str, ...]:
    return tuple(target for target, count in resolution.matched.items() if not count)


def _unmatched_patterns(adapter: AdapterSettings, resolution: Resolution) -> tuple[str, ...]:
    """The keys, each once, that no adapted module or parameter matches.

    Raises:
        ConfigError: A key is no expression, or one without a bound.
    """
    names = [each.name for each in resolution.adapted]
    keys = (*adapter.lora.rank_pattern, *adapter.lora.alpha_pattern)
    return unmatched_keys(dict.fromkeys(keys), names)


def _sized(
    matches: ModelFit,
    architecture: Architecture,
    resolution: Resolution,
    config: ConfigSnapshot,
    note: tuple[str, ...],
) -> ModelFit:
    problems = (*note, *resolution.problems)
    scalings = [module_scaling(resolution.adapter.lora, each.name) for each in resolution.adapted]
    problems += _group_problems(resolution, scalings)
    reason = "; ".join(problems) or None
    if not resolution.adapted:
        return msgspec.structs.replace(matches, reason=reason)
    weights = _weight_bytes(architecture, config)
    tensors = trained_tensors(architecture, resolution, scalings, weights)
    trained = [tensor for tensor in tensors if tensor.trained]
    trained_bytes = sum(tensor.n_bytes for tensor in trained)
    return msgspec.structs.replace(
        matches,
        modules=tuple(
            _module_fit(each, scaling, resolution.adapter)
            for each, scaling in zip(resolution.adapted, scalings, strict=True)
        ),
        trainable_params=sum(tensor.size for tensor in trained),
        saved_module_params=saved_size(resolution.saved),
        adapter_bytes=None if resolution.copies_nest else file_bytes(tensors),
        optimizer_bytes=optimizer_bytes(
            config.optimizer.name, trained, momentum=_has_momentum(config)
        ),
        gradient_bytes=trained_bytes,
        weight_bytes=trained_bytes,
        max_rank=max(scaling.r for scaling in scalings),
        reason=reason,
    )


def _group_problems(resolution: Resolution, scalings: list[ModuleScaling]) -> tuple[str, ...]:
    """Grouped convolutions whose number of groups does not divide the rank."""
    wrong = [
        each.module.name
        for each, scaling in zip(resolution.adapted, scalings, strict=True)
        if each.module.kind is ModuleKind.CONVOLUTION and scaling.r % max(each.module.groups, 1)
    ]
    if not wrong:
        return ()
    return (f"PEFT refuses ranks that the groups of {wrong[0]} do not divide",)


def _module_fit(each: Adapted, scaling: ModuleScaling, adapter: AdapterSettings) -> ModuleFit:
    d_in, d_out = each.module.in_features, each.module.out_features
    if each.parameter is not None:
        _, d_in, d_out = parameter_features(each)
    shapes = lora_shapes(each, scaling, adapter)
    return ModuleFit(
        name=each.name,
        in_features=d_in,
        out_features=d_out,
        r=scaling.r,
        alpha=scaling.alpha,
        scaling=scaling.scale,
        params=sum(math.prod(shape) for shape in shapes.values()),
    )


def _weight_bytes(architecture: Architecture, config: ConfigSnapshot) -> WeightBytes:
    """Bytes of a number in factors and in copies of base weights.

    PEFT keeps factors in float32 (``autocast_adapter_dtype``) unless the tool says otherwise;
    copies have the model's dtype, float32 in a quantised one (``prepare_model_for_kbit_training``).
    """
    said = config.training.extras.get("parameter_dtype")
    if isinstance(said, str):
        return WeightBytes(item_bytes(said), item_bytes(said))
    if architecture.quantised or isinstance(config.extras.get("quantization"), Mapping):
        return WeightBytes(FLOAT32_BYTES, FLOAT32_BYTES)
    return WeightBytes(FLOAT32_BYTES, item_bytes(architecture.dtype))


def _has_momentum(config: ConfigSnapshot) -> bool:
    """Whether ``optim_args`` name a momentum other than zero."""
    arguments = config.optimizer.extras.get("optim_args")
    if isinstance(arguments, Mapping):
        return bool(arguments.get("momentum"))
    if not isinstance(arguments, str):
        return False
    pairs = (pair.partition("=") for pair in arguments.split(","))
    return any(name.strip() == "momentum" and value.strip(" 0.") for name, _, value in pairs)
