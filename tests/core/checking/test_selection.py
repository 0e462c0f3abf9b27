"""Selecting rules works as in ruff."""

import pytest

from gradience.core.checking.check import ALL_RULES
from gradience.core.checking.selection import (
    leave_out,
    require_known,
    select_rules,
    split_selectors,
)
from gradience.core.errors import ConfigError


def codes(select: list[str] | None = None, ignore: list[str] | None = None) -> list[str]:
    return [rule.code for rule in select_rules(ALL_RULES, select, ignore)]


ALL = codes(["ALL"])


def test_nothing_given_selects_what_is_not_optional() -> None:
    assert codes() == [rule.code for rule in ALL_RULES if not rule.optional]
    assert codes(ignore=["ALL"]) == []


def test_an_optional_rule_is_applied_where_it_is_selected() -> None:
    assert "GR801" not in codes()
    assert "GR801" in codes(["GR8"])
    assert codes(["GR801"]) == ["GR801"]


def test_a_beginning_selects_a_family() -> None:
    assert codes(["GR2"]) == [code for code in ALL if code.startswith("GR2")]
    assert codes(["gr2", "GR101"]) == ["GR101", *codes(["GR2"])]


def test_a_name_selects_its_rule() -> None:
    assert codes(["attention-only"]) == ["GR201"]


def test_ignored_rules_are_left_out() -> None:
    assert codes(ignore=["GR4", "GR201"]) == [
        code for code in codes() if not code.startswith("GR4") and code != "GR201"
    ]


def test_the_longer_selector_wins() -> None:
    assert codes(["GR2", "GR110"], ["GR1"]) == ["GR110", *codes(["GR2"])]
    assert codes(["GR201"], ["GR2"]) == ["GR201"]
    assert codes(["ALL"], ["GR"]) == []


def test_equally_long_selectors_leave_the_rule_out() -> None:
    assert codes(["GR201"], ["GR201"]) == []
    assert codes(["GR201"], ["attention-only"]) == []


def test_selecting_nothing_applies_nothing() -> None:
    assert codes([]) == []


@pytest.mark.parametrize("selector", ["GR777", "E501", "attention", "", "GR2011"])
def test_an_unknown_selector_is_refused_with_what_was_expected(selector: str) -> None:
    with pytest.raises(ConfigError, match=r"select: expected codes .* found '.*'.*--all"):
        codes([selector])
    with pytest.raises(ConfigError, match="ignore: expected codes"):
        codes(ignore=[selector])


def test_a_refusal_names_the_place_and_every_selector() -> None:
    with pytest.raises(ConfigError, match=r"^pyproject\.toml ignore: .*'X1', 'X2'"):
        require_known(ALL_RULES, ["X1", "GR1", "X2"], "pyproject.toml ignore")


@pytest.mark.parametrize(
    ("text", "expected"), [(None, None), ("", ()), ("GR1, GR201,", ("GR1", "GR201"))]
)
def test_selectors_are_separated_by_commas(
    text: str | None, expected: tuple[str, ...] | None
) -> None:
    assert split_selectors(text) == expected


def test_a_refusal_suggests_what_is_near() -> None:
    with pytest.raises(ConfigError, match=r"found 'attention'\. Did you mean attention-only"):
        codes(["attention"])


def test_leaving_out_heeds_no_exactness() -> None:
    chosen = select_rules(ALL_RULES, ["GR201", "GR101", "GR801"])
    assert [rule.code for rule in leave_out(chosen, ["GR2"])] == ["GR101", "GR801"]
    assert leave_out(chosen, ["ALL"]) == ()
    assert leave_out(chosen, []) == chosen
