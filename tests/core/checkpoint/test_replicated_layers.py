"""Layers of a model that PEFT's layer_replication made."""

import pytest

from gradience.core.checkpoint.replicated_layers import source_module

RANGES = [(0, 4), (2, 5)]


@pytest.mark.parametrize(("layer", "source"), list(enumerate([0, 1, 2, 3, 2, 3, 4])))
def test_a_replicated_layer_has_its_sources_weights(layer: int, source: int) -> None:
    found = source_module(f"model.layers.{layer}.mlp.0", RANGES)
    assert found == f"model.layers.{source}.mlp.0"


def test_a_layer_beyond_the_ranges_has_none() -> None:
    assert source_module("model.layers.7.q_proj", RANGES) is None


@pytest.mark.parametrize("module", ["lm_head", "model.embed_tokens"])
def test_a_module_outside_the_layers_stays(module: str) -> None:
    assert source_module(module, RANGES) == module


def test_without_replication_every_module_stays() -> None:
    assert source_module("model.layers.7.q_proj", ()) == "model.layers.7.q_proj"


def test_ranges_of_any_length_are_walked_at_once() -> None:
    assert source_module("layers.5.q_proj", ((3, 10**12),)) == "layers.8.q_proj"
