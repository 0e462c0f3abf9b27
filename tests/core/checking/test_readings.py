"""Settings of any JSON type are read as what they must be, or are not there."""

import math

import pytest

from gradience.core.checking.readings import (
    ends_with,
    finite,
    flag,
    is_plain,
    names,
    number,
    numbers,
    table,
    text,
    written,
)

MISFITS = [None, True, "much", [], {}, [1], {"a": 1}]


@pytest.mark.parametrize("value", MISFITS)
def test_what_is_no_number_is_none(value: object) -> None:
    assert number({"x": value}, "x") is None
    assert finite({"x": value}, "x") is None


@pytest.mark.parametrize(("value", "expected"), [(1, 1.0), ("1e-1", 0.1), (-0.5, -0.5)])
def test_a_number_may_be_written_as_text(value: object, expected: float) -> None:
    assert number({"x": value}, "x") == finite({"x": value}, "x") == expected


def test_an_integer_beyond_the_floats_is_infinite() -> None:
    assert number({"x": 10**400}, "x") == math.inf
    assert finite({"x": 10**400}, "x") is None
    assert written(10**5000) == "inf"


def test_text_is_in_lower_case_and_only_text() -> None:
    assert text({"x": " PiSSA "}, "x") == "pissa"
    assert text({"x": 1}, "x") is None


@pytest.mark.parametrize("value", [1, "true", None, [True]])
def test_only_true_is_true(value: object) -> None:
    assert flag({"x": True}, "x")
    assert not flag({"x": value}, "x")


@pytest.mark.parametrize(
    ("value", "expected"), [("a", ("a",)), (["a", 1, "b"], ("a", "b")), ({"a": 1}, ()), (None, ())]
)
def test_names_are_text(value: object, expected: tuple[str, ...]) -> None:
    assert names({"x": value}, "x") == expected


def test_a_table_has_text_for_keys() -> None:
    assert table({"x": {"a": 1, 2: 3}}, "x") == {"a": 1}
    assert table({"x": [1]}, "x") == {}


def test_numbers_are_finite_and_positive() -> None:
    given = {"a": 8, "b": 0, "c": -1, "d": math.nan, "e": "4", "f": True, "g": 10**400}
    assert numbers({"x": given}, "x") == {"a": 8.0, "e": 4.0}


@pytest.mark.parametrize("name", ["q_proj", "layers.0.q_proj", "attn-1.v"])
def test_a_name_is_plain(name: str) -> None:
    assert is_plain(name)


@pytest.mark.parametrize("name", ["", "^q_proj", ".*q", "q|v", "a..b", "q_proj$", "q\n"])
def test_an_expression_is_not_plain(name: str) -> None:
    assert not is_plain(name)


def test_an_ending_ends_at_a_dot() -> None:
    assert ends_with("a.q_proj", "q_proj")
    assert ends_with("q_proj", "q_proj")
    assert not ends_with("aq_proj", "q_proj")


def test_nothing_is_written_as_none() -> None:
    assert (written(None), written(8), written(0.25)) == ("none", "8", "0.25")
