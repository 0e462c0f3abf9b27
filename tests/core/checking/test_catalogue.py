"""A rule's card says everything about it."""

import msgspec
import pytest

from gradience.core.checking.catalogue import RuleCard, find_rule, rule_card
from gradience.core.checking.check import ALL_RULES
from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.rule import Rule
from gradience.core.errors import ConfigError


def test_a_card_holds_the_rule_and_the_thresholds_values() -> None:
    rule = find_rule(ALL_RULES, "GR102")
    card = rule_card(rule, CheckPolicy(lr_high=1e-3))
    assert (card.code, card.name, card.family) == (
        "GR102",
        "lr-high",
        "learning rate and weight decay",
    )
    assert card.thresholds == {"lr_high": 1e-3, "lr_extreme": 1e-2, "lr_low": 2e-5}
    assert card.source == rule.source


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.code)
def test_every_card_is_plain_json(rule: Rule) -> None:
    card = rule_card(rule, CheckPolicy())
    assert msgspec.json.decode(msgspec.json.encode(card), type=RuleCard) == card


@pytest.mark.parametrize("wanted", ["gr201", "GR201", "attention-only", "Attention-Only"])
def test_a_rule_is_found_by_code_or_name(wanted: str) -> None:
    assert find_rule(ALL_RULES, wanted).code == "GR201"


@pytest.mark.parametrize("wanted", ["GR2", "GR999", ""])
def test_an_unknown_code_is_refused(wanted: str) -> None:
    with pytest.raises(ConfigError, match=r"expected the code or name of a rule.*--all"):
        find_rule(ALL_RULES, wanted)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("GR1O1", "Did you mean GR101?"),
        ("gr20", "Did you mean GR200 or GR201 or GR202?"),
        ("attention", "Did you mean attention-only or four-bits-attention-only?"),
        ("lr-hihg", "Did you mean lr-high or"),
    ],
)
def test_an_unknown_code_is_answered_with_near_ones(wanted: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        find_rule(ALL_RULES, wanted)
    assert words in str(refused.value)
