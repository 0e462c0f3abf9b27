"""docs/rules is made from the rules, and holds nothing else."""

import re
from pathlib import Path

import pytest
from docs.generate import DOCS, NOTE
from docs.rule_pages import rule_pages, threshold_sources

from gradience.core.checking.check import ALL_RULES
from gradience.core.checking.policy import CheckPolicy

RULE_DOCS = DOCS / "rules"
PAGES = rule_pages(RULE_DOCS, NOTE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_rules_page_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "run: just docs"


def test_there_is_a_page_for_each_rule_and_no_other() -> None:
    expected = {f"{rule.code}.md" for rule in ALL_RULES} | {"README.md"}
    assert {path.name for path in RULE_DOCS.iterdir()} == expected


def test_the_index_links_to_every_page() -> None:
    index = PAGES[RULE_DOCS / "README.md"]
    linked = re.findall(r"\]\((GR\d+\.md)\)", index)
    assert linked == [f"{rule.code}.md" for rule in ALL_RULES]


def test_a_page_shows_source_thresholds_and_examples() -> None:
    page = PAGES[RULE_DOCS / "GR102.md"]
    for words in ("GR102 lr-high", "Biderman", "`lr_high` | 0.0005", "Refuted by", "```yaml"):
        assert words in page


def test_every_threshold_names_where_it_comes_from() -> None:
    sources = threshold_sources()
    assert sources.keys() == set(CheckPolicy.__annotations__)
    assert all(len(text) > 20 for text in sources.values())
