"""Values out of a config.json."""

import pytest

from gradience.core.architecture.settings import MOST_LAYERS, Settings
from gradience.core.errors import ConfigError


def test_the_first_name_with_a_value_counts() -> None:
    settings = Settings({"n_embd": 3, "hidden_size": None, "d_model": 5})
    assert settings.size("hidden_size", "n_embd", "d_model") == 3
    assert settings.size("width", default=7) == 7
    assert settings.known("width", "n_embd")
    assert not settings.known("hidden_size")


@pytest.mark.parametrize("value", ["8", 8.0, True, -1, [8]])
def test_a_size_is_a_whole_number(value: object) -> None:
    with pytest.raises(ConfigError, match=r"config\.json says hidden_size is"):
        Settings({"hidden_size": value}).size("hidden_size")


def test_a_size_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="does not say hidden_size"):
        Settings({}).size("hidden_size", "n_embd")


def test_layers_are_bounded() -> None:
    assert Settings({"n": MOST_LAYERS}).layers("n") == MOST_LAYERS
    with pytest.raises(ConfigError, match="n is 10001"):
        Settings({"n": MOST_LAYERS + 1}).layers("n")


def test_lists_flags_words_and_parts() -> None:
    settings = Settings({"a": [1, 2], "b": True, "c": "word", "d": {"e": 1}, "f": 3})
    assert settings.sizes("a") == (1, 2)
    assert settings.sizes("f", (4,)) == (4,)
    assert settings.flag("b", default=False)
    assert settings.flag("f", default=True)
    assert settings.text("c") == "word"
    assert settings.text("f", "none") == "none"
    assert settings.inner("d", {"e": 9, "g": 2}).values == {"e": 1, "g": 2}
    assert settings.inner("f").values == {}
    with pytest.raises(ConfigError, match=r"a is 'x'"):
        Settings({"a": ["x"]}).sizes("a")


def test_labels() -> None:
    assert Settings({}).labels == 2
    assert Settings({"num_labels": 5}).labels == 5
    assert Settings({"id2label": {"0": "a", "1": "b", "2": "c"}}).labels == 3
