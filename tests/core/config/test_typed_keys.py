"""Known keys come as their type; what does not fit is named, what cannot be known is left out."""

import datetime as dt

import msgspec
import pytest

from gradience.core.config.typed_keys import given, take
from gradience.core.errors import ConfigError


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    """A section."""

    lr: float | None = None


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of every type that the readers use."""

    number: float | None = None
    count: int | None = None
    switch: bool | None = None
    switch_or_word: bool | str | None = None
    word: str | None = None
    names: tuple[str, ...] | str | None = None
    table: dict[str, int] | None = None
    inner: Inner = Inner()


def taken(raw: dict[str, object]) -> Shape:
    return take(raw, Shape, "c.yaml", "tool").settings


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("number", "1e-4", 1e-4),
        ("number", " 2e-5 ", 2e-5),
        ("number", 1, 1.0),
        ("count", "8", 8),
        ("count", 8.0, 8),
        ("count", "None", None),
        ("number", "null", None),
        ("switch", "yes", True),
        ("switch", "Off", False),
        ("switch", "true", True),
        ("switch_or_word", "auto", "auto"),
        ("names", ["a", "b"], ("a", "b")),
        ("names", "a,b", "a,b"),
        ("table", {"q": 4}, {"q": 4}),
    ],
)
def test_a_value_is_read_as_its_type(key: str, value: object, expected: object) -> None:
    found = getattr(taken({key: value}), key)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("empty", [None, "", "  ", [], {}])
@pytest.mark.parametrize("key", ["number", "word", "names", "table", "inner"])
def test_an_empty_value_means_not_given(key: str, empty: object) -> None:
    assert taken({key: empty}) == Shape()


def test_unknown_keys_are_ignored() -> None:
    assert taken({"wandb_key": "secret", "inner": {"colour": 1}}) == Shape()


@pytest.mark.parametrize(
    "raw",
    [
        {"number": "${training.lr}"},
        {"number": "$LR"},
        {"number": "{{ lr }}"},
        {"number": "auto"},
    ],
)
def test_what_only_the_tool_can_work_out_is_named_and_left_out(raw: dict[str, object]) -> None:
    found = take(raw, Shape, "c.yaml", "tool")
    assert (found.settings, found.unread) == (Shape(), ("number",))


def test_what_stands_in_a_section_has_its_path() -> None:
    found = take({"inner": {"lr": "${lr}"}}, Shape, "c.yaml", "tool")
    assert found.unread == ("inner.lr",)
    assert take({"inner": "file.yaml"}, Shape, "c", "tool").unread == ("inner",)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"number": "fast"}, r"tool\.number: expected `float \| null`, found 'fast'"),
        ({"number": True}, r"tool\.number: expected `float \| null`, found True"),
        ({"count": 8.5}, r"tool\.count: .*found 8\.5"),
        ({"count": [1]}, r"tool\.count: .*found a list"),
        ({"number": {"a": 1}}, r"tool\.number: .*found a mapping"),
        ({"names": [1]}, r"tool\.names: expected `str`"),
        ({"table": {"q": "many"}}, r"tool\.table: expected `int`"),
        ({"inner": {"lr": "x"}}, r"tool\.inner\.lr: "),
        ({"count": dt.date(2026, 1, 1)}, r"tool\.count: .*a value of type date"),
        ({"number": 10**5000}, r"tool\.number: expected at most 64 bits, found …"),
        ({"word": 7 * [1]}, r"tool\.word: .*found a list"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_path(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c\.yaml: {words}.*\. Correct the value\.$"):
        taken(raw)


def test_every_misfit_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"tool\.number: .*; tool\.inner\.lr: "):
        taken({"number": "x", "inner": {"lr": "y"}})


def test_a_message_repeats_only_the_beginning_of_a_long_value() -> None:
    with pytest.raises(ConfigError) as caught:
        taken({"number": "x" * 500})
    assert len(str(caught.value)) < 150


def test_given_leaves_out_none_alone() -> None:
    assert given({"a": None, "b": False, "c": 0}) == {"b": False, "c": 0}
