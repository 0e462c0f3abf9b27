"""``gradience rule``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gradience.core.checking.check import ALL_RULES
from tests.cli.run_cli import CliResult

Cli = Callable[..., CliResult]


def test_all_rules_are_listed_with_source(cli: Cli) -> None:
    result = cli("rule", "--all")
    assert result.code == 0
    for rule in ALL_RULES:
        assert rule.code in result.out
        assert rule.name in result.out
        assert rule.action in result.out
    assert "arXiv 2405.09673" in result.out
    assert f"{len(ALL_RULES)} rules" in result.out


def test_a_rule_that_must_be_selected_says_so(cli: Cli) -> None:
    optional = sum(rule.optional for rule in ALL_RULES)
    assert cli("rule", "--all").out.count("(when selected)") == optional
    assert "only where it is selected" in cli("rule", "GR801").out
    assert cli("rule", "GR801", "--json").json["optional"] is True


def test_one_rule_is_shown_with_its_evidence(cli: Cli) -> None:
    result = cli("rule", "GR101")
    assert result.code == 0
    for words in ("GR101 lr-extreme", "lower_lr", "Biderman", "lr_extreme = 0.01", "refuted by"):
        assert words in result.out


def test_a_rule_is_found_by_its_name(cli: Cli) -> None:
    assert "GR201 attention-only" in cli("rule", "attention-only").out


def test_json_holds_a_card_each(cli: Cli) -> None:
    cards = cli("rule", "--all", "--json").json["rules"]
    assert isinstance(cards, list)
    assert [card["code"] for card in cards] == [rule.code for rule in ALL_RULES]
    card = cli("rule", "GR102", "--json").json
    assert card["thresholds"] == {"lr_high": 5e-4, "lr_extreme": 1e-2, "lr_low": 2e-5}
    assert {"source", "refuted_by", "severity", "action", "speaks", "silent"} <= card.keys()


def test_thresholds_are_the_projects(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.gradience.thresholds]\nlr_high = 0.002\n")
    monkeypatch.chdir(tmp_path)
    assert "lr_high = 0.002" in cli("rule", "GR102").out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "found neither"),
        (["GR101", "--all"], "found both"),
        (["GR999"], "found 'GR999'"),
    ],
)
def test_wrong_use_exits_2_and_says_what_was_expected(
    cli: Cli, args: list[str], words: str
) -> None:
    result = cli("rule", *args)
    assert (result.code, result.out) == (2, "")
    assert words in result.err


def test_the_list_fits_a_narrow_screen(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, cli("rule", "--all").out.splitlines())) <= 60
