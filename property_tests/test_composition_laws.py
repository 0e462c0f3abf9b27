"""Laws of how the update's energy is shared over layers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.dominance.gain import (
    ConcentrationPolicy,
    ModuleGain,
    composition,
    gain_summary,
    global_gain,
    layer_gains,
    module_gain,
)

POLICY = ConcentrationPolicy()
HEADS = ["score", "lm_head", "model.embed_tokens"]
NAMES = st.one_of(
    st.sampled_from(HEADS),
    st.builds(
        "{}.layers.{}.{}".format,
        st.sampled_from(["encoder", "decoder", "model"]),
        st.integers(0, 12),
        st.sampled_from(["q", "mlp.up"]),
    ),
)
SIZES = st.floats(1e-6, 1e6)


def _gain(name: str, size: float) -> ModuleGain:
    return module_gain(
        module=name,
        r=4,
        scaling=1.0,
        delta_fro=size,
        delta_op=size / 2,
        rel_delta_fro=None,
        rel_delta_op=None,
    )


MODULES = st.dictionaries(NAMES, SIZES, min_size=1, max_size=30).map(
    lambda sizes: [_gain(name, size) for name, size in sizes.items()]
)


@given(MODULES)
def test_shares_sum_to_one(modules: list[ModuleGain]) -> None:
    found = composition(layer_gains(modules), POLICY)
    assert sum(layer.share for layer in found.layers) == pytest.approx(1.0)
    assert found.energy_total_fro2 == pytest.approx(sum(m.delta_fro**2 for m in modules))


@given(MODULES)
def test_concentration_is_between_one_over_n_and_one(modules: list[ModuleGain]) -> None:
    found = composition(layer_gains(modules), POLICY)
    assert found.concentration_index is not None
    least = 1 / len(found.layers)
    assert least * (1 - 1e-9) <= found.concentration_index <= 1 + 1e-9


@given(st.integers(1, 20), SIZES)
def test_equal_layers_are_least_concentrated(n: int, size: float) -> None:
    layers = layer_gains([_gain(f"layers.{i}.q", size) for i in range(n)])
    assert composition(layers, POLICY).concentration_index == pytest.approx(1 / n)


@given(MODULES)
def test_modules_outside_layers_are_in_no_layer(modules: list[ModuleGain]) -> None:
    outside = [module for module in modules if module.module in HEADS]
    groups = [layer for layer in layer_gains(modules) if layer.layer is None]
    assert sum(layer.n_modules for layer in groups) == len(outside)
    assert len(groups) == bool(outside)
    assert all(module.layer is None for module in outside)


@given(MODULES)
def test_no_module_is_lost_among_layers(modules: list[ModuleGain]) -> None:
    layers = layer_gains(modules)
    assert sum(layer.n_modules for layer in layers) == len(modules)
    assert len({layer.layer_name for layer in layers}) == len(layers)
    total = sum(layer.delta_fro_sum for layer in layers)
    assert total == pytest.approx(sum(m.delta_fro for m in modules))


@given(MODULES, SIZES)
def test_scaling_the_update_leaves_the_shares(modules: list[ModuleGain], c: float) -> None:
    scaled = [_gain(module.module, c * module.delta_fro) for module in modules]
    one, two = (composition(layer_gains(group), POLICY) for group in (modules, scaled))
    shares = [layer.share for layer in one.layers]
    assert [layer.share for layer in two.layers] == pytest.approx(shares)


@given(MODULES)
def test_the_top_layers_hold_at_least_their_part(modules: list[ModuleGain]) -> None:
    found = composition(layer_gains(modules), POLICY)
    assert found.top_k is not None
    assert found.top_10pct is not None
    n = len(found.layers)
    for top in (found.top_k, found.top_10pct):
        assert min(top.k, n) / n * (1 - 1e-9) <= top.share <= 1 + 1e-9
    assert found.top_10pct.share <= found.top_k.share + 1e-9 or found.top_10pct.k > found.top_k.k


@given(MODULES)
def test_rankings_descend(modules: list[ModuleGain]) -> None:
    layers = layer_gains(modules)
    shares = composition(layers, POLICY)
    ranked = [m.delta_fro for m in global_gain(modules, shares, POLICY).top_modules_by_delta_fro]
    assert ranked == sorted((m.delta_fro for m in modules), reverse=True)[: POLICY.top_modules]
    tops = [
        layer.delta_fro_sq_sum
        for layer in gain_summary(modules, layers, shares, POLICY).top_layers_by_delta_fro
    ]
    assert tops == sorted(tops, reverse=True)
