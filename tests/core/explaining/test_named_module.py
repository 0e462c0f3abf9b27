"""Names and endings of modules."""

import pytest

from gradience.core.errors import ConfigError
from gradience.core.explaining.named_module import NamePolicy, find_module

NAMES = [f"layers.{i}.attn.{part}" for i in (1, 10) for part in ("q", "xq")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("layers.1.attn.q", "layers.1.attn.q"),
        ("base_model.model.layers.1.attn.q", "layers.1.attn.q"),
        ("10.attn.xq", "layers.10.attn.xq"),
        ("1.attn.q", "layers.1.attn.q"),
    ],
)
def test_a_full_name_or_an_ending_from_a_dot_on_is_found(text: str, found: str) -> None:
    assert find_module(NAMES, text) == found


def test_a_name_that_ends_another_is_itself() -> None:
    assert find_module(["attn.q", "layers.0.attn.q"], "attn.q") == "attn.q"


def test_an_ambiguous_ending_lists_what_it_fits() -> None:
    fitting = r"found 2: layers\.1\.attn\.q, layers\.10\.attn\.q\. Give more"
    with pytest.raises(ConfigError, match=fitting):
        find_module(NAMES, "attn.q")
    with pytest.raises(ConfigError, match=r"found 2: layers\.1\.attn\.q and 1 more"):
        find_module(NAMES, "attn.q", NamePolicy(names_shown=1))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("layers.1.attn.qq", r"Near it: layers\.1\.attn\.q, "),
        ("attn", r"Near it: layers\.1\.attn\.q, "),
        ("10", r"Near it: layers\.10\.attn\.q, layers\.10\.attn\.xq\."),
        ("zzzzzzzzz", r"One is layers\.1\.attn\.q\."),
        ("", r"One is layers\.1\.attn\.q\."),
    ],
)
def test_an_unknown_name_is_refused_with_those_near_it(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"expected one of 4 modules, found none.* {hint}"):
        find_module(NAMES, text)
