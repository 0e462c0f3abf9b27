"""Where the update's energy lies, on modules of known size."""

import pytest

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


def _gain(name: str, fro: float, relative: float | None = None) -> ModuleGain:
    return module_gain(
        module=name,
        r=4,
        scaling=2.0,
        delta_fro=fro,
        delta_op=fro / 2,
        rel_delta_fro=relative,
        rel_delta_op=relative,
    )


MODULES = [
    _gain("score", 1.0),
    _gain("layers.0.q", 3.0, 0.3),
    _gain("layers.0.v", 4.0),
    _gain("layers.1.q", 2.0, 0.1),
]


def test_modules_are_summed_by_layer_and_the_head_stands_last() -> None:
    layers = layer_gains(MODULES)
    assert [(layer.layer, layer.layer_name, layer.n_modules) for layer in layers] == [
        (0, "layers.0", 2),
        (1, "layers.1", 1),
        (None, None, 1),
    ]
    assert (layers[0].delta_fro_sq_sum, layers[0].delta_fro_sum) == (25.0, 7.0)
    assert layers[0].rel_delta_fro_sq_sum == pytest.approx(0.09)
    assert layers[2].rel_delta_fro_sq_sum is None


def test_encoder_and_decoder_layers_of_one_number_stay_apart() -> None:
    layers = layer_gains([_gain("encoder.block.0.q", 1.0), _gain("decoder.block.0.q", 1.0)])
    assert [layer.layer_name for layer in layers] == ["encoder.block.0", "decoder.block.0"]


def test_composition_by_hand() -> None:
    found = composition(layer_gains(MODULES), POLICY)
    assert found.energy_total_fro2 == 30.0
    assert [share.share for share in found.layers] == pytest.approx([25 / 30, 4 / 30, 1 / 30])
    assert found.concentration_index == pytest.approx((25**2 + 4**2 + 1) / 900)
    assert found.top_10pct is not None
    assert (found.top_10pct.k, found.top_10pct.layers[0].layer) == (1, 0)


def test_the_top_ten_percent_round_up() -> None:
    layers = layer_gains([_gain(f"layers.{i}.q", i + 1.0) for i in range(11)])
    top = composition(layers, POLICY).top_10pct
    assert top is not None
    assert [share.layer for share in top.layers] == [10, 9]


@pytest.mark.parametrize("modules", [[], [_gain("layers.0.q", 0.0)]])
def test_a_zero_update_has_no_composition(modules: list[ModuleGain]) -> None:
    found = composition(layer_gains(modules), POLICY)
    assert (found.layers, found.top_k, found.concentration_index) == ((), None, None)


LAYERS = layer_gains(MODULES)
SHARES = composition(LAYERS, POLICY)


def test_means_are_over_known_values() -> None:
    found = gain_summary(MODULES, LAYERS, SHARES, POLICY)
    assert (found.delta_fro_mean, found.delta_op_mean) == (2.5, 1.25)
    assert found.rel_delta_fro_mean == pytest.approx(0.2)
    assert (found.relative_available, found.n_modules_with_relative) == (True, 2)
    assert found.top_layers_by_delta_fro[0].layer == 0


def test_no_modules_have_no_means() -> None:
    found = gain_summary([], [], composition([], POLICY), POLICY)
    assert (found.delta_fro_mean, found.energy_concentration_top10pct) == (None, None)
    assert found.relative_available is False


def test_rankings_put_the_largest_first() -> None:
    found = global_gain(MODULES, SHARES, POLICY)
    assert [m.module for m in found.top_modules_by_delta_fro][:2] == ["layers.0.v", "layers.0.q"]
    ranked = [m.module for m in found.top_modules_by_rel_delta_fro]
    assert ranked == ["layers.0.q", "layers.1.q"]
    assert found.energy_concentration.top_k_layers_share == pytest.approx(1.0)
    assert found.energy_concentration.top_10pct_layers_share == pytest.approx(25 / 30)
