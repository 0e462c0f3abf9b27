"""Which of a model's modules an adapter's settings reach, resolved as PEFT does."""

from collections.abc import Mapping

import attrs

from gradience.core.architecture.adapter_settings import AdapterSettings
from gradience.core.architecture.default_targets import (
    DEFAULT_TARGETS,
    HEAD_NAMES,
    TRAINED_HEADS,
)
from gradience.core.architecture.fused_experts import FusedTargets, fused_targets
from gradience.core.architecture.matching import Matcher, has_suffix
from gradience.core.architecture.modules import (
    LINEAR_KINDS,
    Architecture,
    ModelModule,
    ModuleKind,
    Parameter,
    under,
)
from gradience.core.config.vocabulary import ALL_LINEAR
from gradience.core.numbers import counted

MATRIX, STACK = 2, 3
"""Dimensions of a parameter that can be adapted."""

SHOWN = 3
"""Names that a message lists."""


@attrs.frozen(kw_only=True)
class Adapted:
    """A module, or one of its parameters, that gets factors of its own."""

    module: ModelModule
    parameter: Parameter | None = None

    @property
    def name(self) -> str:
        """The name that patterns are matched against."""
        module = self.module.name
        return module if self.parameter is None else f"{module}.{self.parameter.name}"


@attrs.frozen(kw_only=True)
class Resolution:
    """What an adapter reaches of a model."""

    adapter: AdapterSettings
    """The settings after PEFT's own conversions."""
    adapted: tuple[Adapted, ...]
    matched: Mapping[str, int]
    """Written target → how many modules or parameters it reaches."""
    saved: tuple[ModelModule, ...]
    """Modules that are trained whole, once for each copy that PEFT makes."""
    copies_nest: bool = False
    """Whether one of those copies lies within another."""
    problems: tuple[str, ...] = ()
    """Where PEFT would refuse, in words."""


def resolve(architecture: Architecture, written: AdapterSettings) -> Resolution | str:
    """Finds the modules that PEFT would adapt.

    Args:
        architecture: The model.
        written: The settings as the user has them.

    Returns:
        The resolution, or why there is none.

    Raises:
        ConfigError: A pattern is no expression, or one without a bound.

    References:
        PEFT 0.21, ``BaseTuner.inject_adapter``.
    """
    linear = _all_linear(architecture, written)
    fused = fused_targets(written, architecture, linear)
    if isinstance(fused, str):
        return fused
    adapter = _with_defaults(fused.adapter, architecture)
    nothing_said = written.lora.target_modules is None and not written.lora.target_parameters
    if adapter is None or (nothing_said and not adapter.lora.target_modules):
        return f"target_modules is not set, and PEFT comes to none for {architecture.model_type}"
    if adapter.targets_all_linear:
        names = tuple(sorted(linear))
        adapter = attrs.evolve(adapter, lora=attrs.evolve(adapter.lora, target_modules=names))
    matcher = Matcher(adapter)
    modules = [module for module in architecture.modules if matcher.targeted(module.name)]
    adapted = (
        *(Adapted(module=module) for module in modules if module.kind is not ModuleKind.OTHER),
        *_parameters(architecture, adapter),
    )
    places = _saved_places(architecture, adapter)
    return Resolution(
        adapter=adapter,
        adapted=adapted,
        matched=_matched(written, fused, adapted, matcher),
        saved=_saved(architecture, places),
        copies_nest=any(
            under(place, other) for place in places for other in places if place != other
        ),
        problems=_problems(architecture, adapter, matcher, adapted, places),
    )


def _all_linear(architecture: Architecture, adapter: AdapterSettings) -> frozenset[str]:
    """Linear layers but for the output embedding, or the head of a classifier."""
    names = {module.name for module in architecture.modules if module.kind in LINEAR_KINDS}
    if architecture.output_embedding is not None:
        names.discard(architecture.output_embedding)
    elif adapter.lora.task_type == "SEQ_CLS":
        names.difference_update(HEAD_NAMES)
    return frozenset(names)


def _with_defaults(adapter: AdapterSettings, architecture: Architecture) -> AdapterSettings | None:
    if adapter.lora.target_modules is not None:
        return adapter
    targets = DEFAULT_TARGETS.get(architecture.model_type)
    if targets is None:
        return None
    return attrs.evolve(adapter, lora=attrs.evolve(adapter.lora, target_modules=targets))


def _parameters(architecture: Architecture, adapter: AdapterSettings) -> tuple[Adapted, ...]:
    targets = adapter.lora.target_parameters
    return tuple(
        Adapted(module=module, parameter=parameter)
        for module in architecture.modules
        for parameter in module.parameters
        if _is_matrix(parameter) and has_suffix(f"{module.name}.{parameter.name}", targets)
    )


def _is_matrix(parameter: Parameter) -> bool:
    """Whether it is a matrix or a stack of matrices, which is all that LoRA takes."""
    return len(parameter.shape) in (MATRIX, STACK)


def _matched(
    written: AdapterSettings,
    fused: FusedTargets,
    adapted: tuple[Adapted, ...],
    matcher: Matcher,
) -> Mapping[str, int]:
    """Counts per target as the user wrote it; one that PEFT renamed counts what it became."""
    modules = [each.name for each in adapted if each.parameter is None]
    parameters = [each.name for each in adapted if each.parameter is not None]
    if written.targets_all_linear:
        counts = {ALL_LINEAR: len(adapted)}
    elif isinstance(written.lora.target_modules, str):
        counts = {written.lora.target_modules: len(adapted)}
    else:
        counts = {}
        for target in written.lora.target_modules or matcher.targets:
            parameter = fused.parameters_of.get(target)
            if parameter is None:
                counts[target] = sum(matcher.matches(target, name) for name in modules)
            else:
                counts[target] = sum(has_suffix(name, [parameter]) for name in parameters)
    for target in written.lora.target_parameters:
        counts[target] = sum(has_suffix(name, [target]) for name in parameters)
    return counts


def _saved_places(architecture: Architecture, adapter: AdapterSettings) -> frozenset[str]:
    """Modules whose name ends in one to save, letter for letter as in PEFT (no dot is needed)."""
    lora = adapter.lora
    wanted = (*lora.modules_to_save, *TRAINED_HEADS.get(lora.task_type or "", ()))
    names = (*architecture.containers(), *(each.name for each in architecture.modules))
    return frozenset(name for name in names if wanted and name.endswith(wanted))


def _saved(architecture: Architecture, places: frozenset[str]) -> tuple[ModelModule, ...]:
    """What lies in the places; a place within another is copied, and trained, once more."""
    return tuple(
        module
        for place in sorted(places)
        for module in architecture.modules
        if under(module.name, place)
    )


def _problems(
    architecture: Architecture,
    adapter: AdapterSettings,
    matcher: Matcher,
    adapted: tuple[Adapted, ...],
    places: frozenset[str],
) -> tuple[str, ...]:
    whole = [name for name in _unfit(architecture) if name and matcher.targeted(name)]
    vectors = _vectors(architecture, adapter)
    both = sorted(places & {each.name for each in adapted})
    found = (
        ("targets that are no linear layer, convolution or embedding", sorted(whole)),
        ("parameters that are neither a matrix nor a stack of them", vectors),
        (BOTH_WAYS, both),
    )
    return (
        *(f"PEFT refuses {what}: {listed(names)}" for what, names in found if names),
        *_refused_settings(adapter, adapted),
        *(() if adapted else (NOTHING_MATCHES,)),
    )


BOTH_WAYS = (
    "to adapt a module and train it whole (its name ends in one of modules_to_save, or in a head "
    "that the task type trains)"
)
NOTHING_MATCHES = "nothing in the model matches the targets: PEFT refuses such a configuration"


def _unfit(architecture: Architecture) -> tuple[str, ...]:
    """Modules that LoRA has no layer for."""
    others = (each.name for each in architecture.modules if each.kind is ModuleKind.OTHER)
    return (*architecture.containers(), *others)


def _vectors(architecture: Architecture, adapter: AdapterSettings) -> list[str]:
    targets = adapter.lora.target_parameters
    names = (
        f"{module.name}.{each.name}"
        for module in architecture.modules
        for each in module.parameters
        if not _is_matrix(each)
    )
    return [name for name in names if has_suffix(name, targets)]


def _refused_settings(adapter: AdapterSettings, adapted: tuple[Adapted, ...]) -> tuple[str, ...]:
    """Settings that parameters, unlike modules, cannot have."""
    lora = adapter.lora
    if all(each.parameter is None for each in adapted):
        return ()
    refused = {
        "lora_dropout": bool(lora.lora_dropout), "use_dora": lora.use_dora,
        "lora_bias": adapter.lora_bias, "fan_in_fan_out": lora.fan_in_fan_out,
    }  # fmt: skip
    return tuple(
        f"PEFT refuses {name} where it adapts parameters such as experts"
        for name, is_set in refused.items()
        if is_set
    )


def listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {counted(more, 'other')}" if more > 0 else "")
