"""Values as tools write them."""

import math

import pytest

from gradience.core.foreign_logs.row_values import (
    MAX_WHOLE,
    Progress,
    is_too_deep,
    number_of,
    positive,
    progress,
    with_numbers,
)
from gradience.core.severity import Severity


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.5", 0.5), ("1e-4", 1e-4), ("-3", -3), ("+.5", 0.5), ("2.", 2.0), ("Infinity", math.inf)],
)
def test_a_text_that_is_a_number_is_read(text: str, number: float) -> None:
    assert number_of(text) == number
    assert type(number_of(text)) is type(number)


def test_nan_is_read() -> None:
    assert math.isnan(number_of("NaN") or 0.0)


@pytest.mark.parametrize(
    "text", ["", "loss", "1/2", "1_000", "0x1f", "12e4567", "1.2.3", "٣", " 1"]
)
def test_a_text_that_is_none_is_left(text: str) -> None:
    assert number_of(text) is None


def test_numbers_as_text_are_one_issue_that_names_their_keys() -> None:
    row = {"loss": "0.5", "reward": "1.0", "note": "warm", "lr": 1e-4}
    read = with_numbers(row)
    assert read.row == {"loss": 0.5, "reward": 1.0, "note": "warm", "lr": 1e-4}
    (issue,) = read.issues()
    assert (issue.severity, issue.code) == (Severity.INFO, "coerced_value")
    assert issue.message == "expected numbers, found text under loss, reward; read as numbers"
    assert row["loss"] == "0.5"


def test_a_name_that_looks_like_a_number_stays_where_only_known_keys_hold_numbers() -> None:
    read = with_numbers({"loss": "0.5", "commit": "1234567", "eval_f1": "1"}, all_keys=False)
    assert read.row == {"loss": 0.5, "commit": "1234567", "eval_f1": 1}


def test_a_row_of_numbers_is_left_as_it_is() -> None:
    row = {"loss": 0.5}
    assert with_numbers(row).row is row
    assert with_numbers(row).issues() == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [("5/100", Progress(5, 100)), ("5", None), ("a/b", None), (5, None), ("5/", None)],
)
def test_progress_is_a_step_of_the_planned_ones(text: object, place: Progress | None) -> None:
    assert progress(text) == place


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (5, 5),
        (5.0, 5),
        (0, None),
        (-1, None),
        (5.5, None),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (MAX_WHOLE + 1, None),
        ("5", None),
        (None, None),
    ],
)
def test_positive_is_a_whole_number_above_zero(value: object, whole: int | None) -> None:
    assert positive(value) == whole


def test_deep_nesting_is_seen() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    assert is_too_deep({"a": deep})
    assert not is_too_deep({"a": [[1]], "b": {"c": 2}})
