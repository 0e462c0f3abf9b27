"""A model after PEFT's ``layer_replication``: its layers stacked anew, their weights shared."""

import attrs

from gradience.core.adapter.module_names import layer_place
from gradience.core.architecture.modules import Architecture, ModelModule
from gradience.core.architecture.settings import MOST_LAYERS
from gradience.core.checkpoint.replicated_layers import LayerRanges
from gradience.core.errors import ConfigError


def replicated(architecture: Architecture, ranges: LayerRanges) -> Architecture:
    """The model with its layers in the order of the ranges.

    Args:
        architecture: The model.
        ranges: First layer and end of each run of layers; none leave the model as it is.

    Raises:
        ConfigError: A range names layers that the model does not have, which PEFT refuses, or
            there are more layers than any model has.

    References:
        PEFT 0.21, ``replicate_layers``.
    """
    if not ranges:
        return architecture
    layers: dict[int, list[ModelModule]] = {}
    outside: list[ModelModule] = []
    for module in architecture.modules:
        place = layer_place(module.name)
        (outside if place is None else layers.setdefault(place.number, [])).append(module)
    _refuse_impossible(ranges, len(layers))
    order = [number for start, end in ranges for number in range(start, end)]
    first = {number: to for to, number in reversed([*enumerate(order)])}
    repeated = [
        _moved(module, to, repeats=first[number] != to)
        for to, number in enumerate(order)
        for module in layers.get(number, [])
    ]
    return attrs.evolve(architecture, modules=(*outside, *repeated), n_layers=len(order))


def _refuse_impossible(ranges: LayerRanges, count: int) -> None:
    beyond = next(((start, end) for start, end in ranges if start < 0 or end > count), None)
    if beyond is not None:
        raise ConfigError(
            f"layer_replication names layers {beyond[0]} to {beyond[1]} of a model with {count}"
        )
    total = sum(end - start for start, end in ranges)
    if total > MOST_LAYERS:
        raise ConfigError(f"layer_replication makes {total} layers")


def _moved(module: ModelModule, to: int, *, repeats: bool) -> ModelModule:
    place = layer_place(module.name)
    if place is None:
        return module
    stem = place.name.rpartition(".")[0]
    shared = frozenset(each.name for each in module.parameters) if repeats else module.shared
    return module._replace(name=f"{stem}.{to}{module.name[len(place.name) :]}", shared=shared)
