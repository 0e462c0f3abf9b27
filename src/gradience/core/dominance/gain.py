"""Where the update's energy lies: per module, per layer, and how concentrated it is."""

import math
from collections.abc import Iterable, Sequence

import attrs
import msgspec

from gradience.core.adapter.module_names import layer_place
from gradience.core.numbers import mean_known


@attrs.frozen(kw_only=True)
class ConcentrationPolicy:
    """What counts as the top of a ranking."""

    top_k_layers: int = 5
    top_modules: int = 10
    top_share: float = 0.10
    """Share of the layers in the "top 10 %" figures, at least one layer."""


class ModuleGain(msgspec.Struct, frozen=True, kw_only=True):
    """Size of one module's update, scaled."""

    module: str
    layer: int | None
    layer_name: str | None
    r: int
    scaling: float
    delta_fro: float
    """‖ΔW‖_F."""
    delta_op: float
    """‖ΔW‖₂."""
    rel_delta_fro: float | None = None
    """‖ΔW‖_F / ‖W‖_F, with a base model."""
    rel_delta_op: float | None = None


class LayerGain(msgspec.Struct, frozen=True, kw_only=True):
    """Size of the update over one layer's modules."""

    layer: int | None
    """None gathers the modules outside any layer."""
    layer_name: str | None
    n_modules: int
    delta_fro_sq_sum: float
    delta_fro_sum: float
    rel_delta_fro_sq_sum: float | None = None


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """Means over modules, and the layers with the largest updates."""

    delta_fro_mean: float | None
    delta_op_mean: float | None
    rel_delta_fro_mean: float | None
    rel_delta_op_mean: float | None
    top_layers_by_delta_fro: tuple[LayerGain, ...]
    energy_concentration_top10pct: float | None
    relative_available: bool
    n_modules_with_relative: int


class EnergyConcentration(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of ΣΔW² in the top layers."""

    top_k_layers_share: float | None
    top_10pct_layers_share: float | None


class GlobalGain(msgspec.Struct, frozen=True, kw_only=True):
    """The modules with the largest updates."""

    top_modules_by_delta_fro: tuple[ModuleGain, ...]
    top_modules_by_rel_delta_fro: tuple[ModuleGain, ...]
    energy_concentration: EnergyConcentration


class LayerShare(msgspec.Struct, frozen=True, kw_only=True):
    """One layer's share of the update's energy."""

    layer: int | None
    layer_name: str | None
    energy_fro2: float
    share: float


class TopLayers(msgspec.Struct, frozen=True, kw_only=True):
    """The layers with the largest shares."""

    k: int
    share: float
    layers: tuple[LayerShare, ...]


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """How the energy ‖ΔW‖_F² is shared over layers; empty where it is zero or overflows."""

    energy_total_fro2: float
    layers: tuple[LayerShare, ...] = ()
    top_k: TopLayers | None = None
    top_10pct: TopLayers | None = None
    concentration_index: float | None = None
    """Herfindahl-Hirschman index Σ share²: 1/n for n equal layers, 1 for one."""


def layer_gains(modules: Iterable[ModuleGain]) -> tuple[LayerGain, ...]:
    """Sums the modules by layer, in order of appearance; modules outside any layer last."""
    groups: dict[str | None, list[ModuleGain]] = {}
    for module in modules:
        groups.setdefault(module.layer_name, []).append(module)
    ordered = sorted(groups.items(), key=lambda item: item[0] is None)
    return tuple(_layer_gain(group) for _, group in ordered)


def gain_summary(
    modules: Sequence[ModuleGain],
    layers: Sequence[LayerGain],
    shares: Composition,
    policy: ConcentrationPolicy,
) -> Gain:
    """Means over the modules and the top layers."""
    relative = [m for m in modules if m.rel_delta_fro is not None]
    return Gain(
        delta_fro_mean=mean_known([m.delta_fro for m in modules]),
        delta_op_mean=mean_known([m.delta_op for m in modules]),
        rel_delta_fro_mean=mean_known([m.rel_delta_fro for m in modules]),
        rel_delta_op_mean=mean_known([m.rel_delta_op for m in modules]),
        top_layers_by_delta_fro=tuple(
            sorted(layers, key=lambda layer: -layer.delta_fro_sq_sum)[: policy.top_k_layers]
        ),
        energy_concentration_top10pct=shares.top_10pct.share if shares.top_10pct else None,
        relative_available=bool(relative),
        n_modules_with_relative=len(relative),
    )


def global_gain(
    modules: Sequence[ModuleGain], shares: Composition, policy: ConcentrationPolicy
) -> GlobalGain:
    """The modules with the largest updates, absolute and relative to their base weight."""
    relative = [m for m in modules if m.rel_delta_fro is not None]
    return GlobalGain(
        top_modules_by_delta_fro=tuple(
            sorted(modules, key=lambda m: -m.delta_fro)[: policy.top_modules]
        ),
        top_modules_by_rel_delta_fro=tuple(
            sorted(relative, key=lambda m: -(m.rel_delta_fro or 0.0))[: policy.top_modules]
        ),
        energy_concentration=EnergyConcentration(
            top_k_layers_share=shares.top_k.share if shares.top_k else None,
            top_10pct_layers_share=shares.top_10pct.share if shares.top_10pct else None,
        ),
    )


def composition(layers: Sequence[LayerGain], policy: ConcentrationPolicy) -> Composition:
    """Shares of the update's energy by layer, and how concentrated they are."""
    total = sum(layer.delta_fro_sq_sum for layer in layers)
    if not 0 < total < math.inf:
        return Composition(energy_total_fro2=total)
    shares = tuple(
        LayerShare(
            layer=layer.layer,
            layer_name=layer.layer_name,
            energy_fro2=layer.delta_fro_sq_sum,
            share=layer.delta_fro_sq_sum / total,
        )
        for layer in layers
    )
    return Composition(
        energy_total_fro2=total,
        layers=shares,
        top_k=_top(shares, policy.top_k_layers),
        top_10pct=_top(shares, max(1, math.ceil(policy.top_share * len(shares)))),
        concentration_index=sum(share.share**2 for share in shares),
    )


def module_gain(
    *,
    module: str,
    r: int,
    scaling: float,
    delta_fro: float,
    delta_op: float,
    rel_delta_fro: float | None,
    rel_delta_op: float | None,
) -> ModuleGain:
    """One module's gain, filed under the layer that its name tells."""
    place = layer_place(module)
    return ModuleGain(
        module=module,
        layer=place.number if place else None,
        layer_name=place.name if place else None,
        r=r,
        scaling=scaling,
        delta_fro=delta_fro,
        delta_op=delta_op,
        rel_delta_fro=rel_delta_fro,
        rel_delta_op=rel_delta_op,
    )


def _top(shares: tuple[LayerShare, ...], k: int) -> TopLayers:
    layers = tuple(sorted(shares, key=lambda share: -share.share)[:k])
    return TopLayers(k=k, share=sum(layer.share for layer in layers), layers=layers)


def _layer_gain(group: list[ModuleGain]) -> LayerGain:
    relative = [m.rel_delta_fro for m in group if m.rel_delta_fro is not None]
    return LayerGain(
        layer=group[0].layer,
        layer_name=group[0].layer_name,
        n_modules=len(group),
        delta_fro_sq_sum=sum(m.delta_fro * m.delta_fro for m in group),
        delta_fro_sum=sum(m.delta_fro for m in group),
        rel_delta_fro_sq_sum=sum(ratio * ratio for ratio in relative) if relative else None,
    )
