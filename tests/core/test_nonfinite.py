"""NaN and the infinities leave JSON and come back."""

import math

import pytest

from gradience.core.nonfinite import is_nonfinite_table, restore_nonfinite, split_nonfinite


def test_each_nonfinite_number_is_named_by_its_dotted_path() -> None:
    strict, table = split_nonfinite({"a": [1.0, math.nan], "b": {"c": math.inf, "d": -math.inf}})
    assert strict == {"a": [1.0, None], "b": {"c": None, "d": None}}
    assert table == {"a.1": "nan", "b.c": "inf", "b.d": "-inf"}


def test_dots_and_backslashes_in_keys_are_escaped() -> None:
    value = {"a.b": math.inf, "a": {"b": None}, "c\\": {"d": math.inf}, "c\\.d": None, "": math.inf}
    strict, table = split_nonfinite(value)
    assert table == {"a\\.b": "inf", "c\\\\.d": "inf", "": "inf"}
    assert restore_nonfinite(strict, table) == value


def test_a_lone_number_has_the_empty_path() -> None:
    assert split_nonfinite(math.inf) == (None, {"": "inf"})
    assert restore_nonfinite(None, {"": "inf"}) == math.inf


@pytest.mark.parametrize("table", [{"a": "huge"}, {"a": 3}, {"b": "nan"}, {"x.y": "nan"}])
def test_entries_that_lead_nowhere_are_left_alone(table: dict[str, object]) -> None:
    assert restore_nonfinite({"a": None, "b": 1}, table) == {"a": None, "b": 1}


def test_tuples_are_written_as_lists() -> None:
    assert split_nonfinite((1, "text", True)) == ([1, "text", True], {})


@pytest.mark.parametrize(
    ("value", "is_table"),
    [({"loss": "nan"}, True), ({"loss": "nan", "n": 3}, False), ({"x": "big"}, False), (3, False)],
)
def test_only_a_mapping_to_tokens_is_a_table(value: object, is_table: bool) -> None:  # noqa: FBT001
    assert is_nonfinite_table(value) is is_table
