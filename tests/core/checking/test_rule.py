"""A rule is data; a subject holds the effective values."""

import pytest

from gradience.core.checking.check import RULES
from gradience.core.checking.rule import CheckPolicy, apply_rule, subject_of
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, OptimizerSnapshot


@pytest.mark.parametrize(
    ("lora", "scaling"),
    [
        (LoraSnapshot(r=16, alpha=32), 2.0),
        (LoraSnapshot(r=16, alpha=32, extras={"use_rslora": True}), 8.0),
        (LoraSnapshot(r=16), None),
        (LoraSnapshot(alpha=32), None),
        (LoraSnapshot(r=0, alpha=32), None),
        (LoraSnapshot(r=-4, alpha=32, extras={"use_rslora": True}), None),
        (LoraSnapshot(r=16, alpha_over_r=2.0, extras={"use_rslora": True}), 8.0),
    ],
)
def test_the_scaling_is_the_one_that_acts(lora: LoraSnapshot, scaling: float | None) -> None:
    assert subject_of(ConfigSnapshot(lora=lora)).scaling == scaling


def test_a_regular_expression_is_no_list_of_targets() -> None:
    assert subject_of(ConfigSnapshot(lora=LoraSnapshot(target_modules="all"))).targets is None


def test_a_recommendation_carries_rule_source_and_what_would_refute_it() -> None:
    rule = next(rule for rule in RULES if rule.code == "GR102")
    subject = subject_of(ConfigSnapshot(optimizer=OptimizerSnapshot(lr=1e-3)))
    found = apply_rule(rule, subject, CheckPolicy())
    assert found is not None
    assert found.action == "consider_lower_lr"
    assert found.evidence == {
        "rule": "GR102",
        "source": rule.source,
        "lr": 1e-3,
        "lr_high": 5e-4,
    }
    assert found.refuted_by == rule.refuted_by


def test_a_rule_with_nothing_to_say_gives_none() -> None:
    rule = next(rule for rule in RULES if rule.code == "GR102")
    assert apply_rule(rule, subject_of(ConfigSnapshot()), CheckPolicy()) is None
