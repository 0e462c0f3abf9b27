"""PEFT's arguments out of a configuration."""

import pytest

from gradience.core.architecture.adapter_settings import adapter_settings
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.core.errors import ConfigError


def settings(**extras: object) -> ConfigSnapshot:
    """A configuration with these extras."""
    return ConfigSnapshot(lora=LoraSnapshot(r=4, target_modules=("q_proj",), extras=extras))


def test_defaults_are_pefts() -> None:
    found = adapter_settings(ConfigSnapshot(lora=LoraSnapshot(r=4)))
    assert (found.lora.r, found.lora.lora_alpha, found.lora.bias) == (4, 8.0, "none")
    assert found.lora.target_modules is None
    assert (found.layers_to_transform, found.layers_pattern, found.exclude_modules) == (
        None,
        (),
        (),
    )
    assert not found.lora_bias
    assert not found.targets_all_linear


def test_what_the_snapshot_says_goes_before_its_extras() -> None:
    lora = LoraSnapshot(r=4, alpha=3, dropout=0.1, extras={"r": 9, "lora_alpha": 9})
    found = adapter_settings(ConfigSnapshot(lora=lora)).lora
    assert (found.r, found.lora_alpha, found.lora_dropout) == (4, 3.0, 0.1)


def test_one_or_several_layers_and_patterns() -> None:
    one = adapter_settings(settings(layers_to_transform=2, layers_pattern="layers"))
    assert (one.layers_to_transform, one.layers_pattern) == ((2,), ("layers",))
    several = adapter_settings(settings(layers_to_transform=[0, 2], layers_pattern=["h", "b"]))
    assert (several.layers_to_transform, several.layers_pattern) == ((0, 2), ("h", "b"))
    none = adapter_settings(settings(layers_to_transform=[], layers_pattern=""))
    assert (none.layers_to_transform, none.layers_pattern) == (None, ())


def test_tokens_are_counted_by_embedding() -> None:
    assert adapter_settings(settings(trainable_token_indices=[5, 6])).trained_tokens == {"": 2}
    by_name = {"embed_tokens": [1], "lm_head": [2, 3]}
    assert adapter_settings(settings(trainable_token_indices=by_name)).trained_tokens == {
        "embed_tokens": 1,
        "lm_head": 2,
    }
    assert adapter_settings(settings(trainable_token_indices=[])).trained_tokens == {}


@pytest.mark.parametrize("value", [["a"], [True], "layers", 1.5])
def test_layers_are_numbers(value: object) -> None:
    with pytest.raises(ConfigError, match="layers_to_transform: expected layer numbers"):
        adapter_settings(settings(layers_to_transform=value))


def test_a_value_of_the_wrong_kind_names_its_key() -> None:
    with pytest.raises(ConfigError, match="use_dora"):
        adapter_settings(settings(use_dora="yes"))
