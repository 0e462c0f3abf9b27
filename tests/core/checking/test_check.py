"""Every rule of the check at both sides of its threshold, and the report."""

from typing import NamedTuple

import msgspec
import pytest

from gradience.core.checking.check import RULES, check_config
from gradience.core.checking.rule import CheckPolicy
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from gradience.core.severity import Severity

GOOD = ConfigSnapshot(
    task_profile=TaskProfile.GENERATION,
    optimizer=OptimizerSnapshot(lr=2e-4, weight_decay=0.0),
    lora=LoraSnapshot(r=16, alpha=32, target_modules="all-linear"),
    training=TrainingSnapshot(dtype="bfloat16", extras={"max_grad_norm": 1.0}),
)
ATTENTION = ("q_proj", "v_proj")
INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


class Case(NamedTuple):
    """One part of the good configuration changed, and what the rule then says."""

    part: str
    change: dict[str, object]
    rule: str
    severity: Severity
    words: str


CASES = [
    Case("optimizer", {"lr": None}, "GR100", INFO, "no learning rate is given"),
    Case("optimizer", {"lr": 0.0}, "GR101", ERROR, "trains nothing"),
    Case("optimizer", {"lr": float("nan")}, "GR101", ERROR, "trains nothing"),
    Case("optimizer", {"lr": 1e-2}, "GR101", ERROR, "beyond any published recipe"),
    Case("optimizer", {"lr": 5.1e-4}, "GR102", WARNING, "is above 0.0005"),
    Case("optimizer", {"lr": 1.9e-5}, "GR103", INFO, "one for full fine-tuning"),
    Case("optimizer", {"weight_decay": -0.1}, "GR110", ERROR, "-0.1 is negative"),
    Case("optimizer", {"weight_decay": 0.11}, "GR110", WARNING, "is above 0.1"),
    Case("lora", {"target_modules": None}, "GR200", INFO, "no target modules"),
    Case("lora", {"target_modules": ()}, "GR200", WARNING, "nothing would be adapted"),
    Case("lora", {"target_modules": ATTENTION}, "GR201", WARNING, "only attention is adapted"),
    Case("lora", {"r": None}, "GR300", INFO, "no rank is given"),
    Case("lora", {"r": 0}, "GR300", ERROR, "rank 0 is no rank"),
    Case("lora", {"r": 257, "alpha": 257}, "GR301", WARNING, "rank 257 is above 256"),
    Case("lora", {"alpha": 65}, "GR302", WARNING, "scaled by 4.0625 (α/r)"),
    Case("lora", {"extras": {"use_rslora": True}}, "GR302", WARNING, "scaled by 8 (α/√r, rsLoRA)"),
    Case("training", {"extras": {"max_grad_norm": 0}}, "GR401", WARNING, "clipping is off"),
    Case("training", {"dtype": "float16"}, "GR402", INFO, "fp16"),
]


def changed(part: str, change: dict[str, object]) -> ConfigSnapshot:
    struct = msgspec.structs.replace(getattr(GOOD, part), **change)
    return msgspec.structs.replace(GOOD, **{part: struct})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.change}")
def test_a_rule_speaks_beyond_its_threshold(case: Case) -> None:
    (found,) = check_config(changed(case.part, case.change)).recommendations
    assert found.evidence["rule"] == case.rule
    assert found.severity is case.severity
    assert case.words in found.message


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("optimizer", {"lr": 5e-4}),
        ("optimizer", {"lr": 2e-5}),
        ("optimizer", {"weight_decay": 0.1}),
        ("optimizer", {"weight_decay": None}),
        ("lora", {"target_modules": ("q_proj", "up_proj")}),
        ("lora", {"target_modules": r".*\.(q|v)_proj"}),
        ("lora", {"r": 256, "alpha": 512}),
        ("lora", {"alpha": 64}),
        ("lora", {"r": 1, "alpha": 32}),
        ("lora", {"alpha": None}),
        ("training", {"extras": {}}),
        ("training", {"dtype": None}),
    ],
)
def test_up_to_its_threshold_no_rule_speaks(part: str, change: dict[str, object]) -> None:
    (found,) = check_config(changed(part, change)).recommendations
    assert found.action == "config_ok"


def test_an_easy_task_softens_the_advice_on_attention() -> None:
    config = changed("lora", {"target_modules": ATTENTION})
    easy = msgspec.structs.replace(config, task_profile=TaskProfile.EASY_CLASSIFICATION)
    (found,) = check_config(easy).recommendations
    assert (found.action, found.severity) == ("review_target_modules", Severity.INFO)


def test_an_unknown_task_is_asked_for_where_it_matters() -> None:
    config = changed("lora", {"target_modules": ATTENTION})
    unknown = msgspec.structs.replace(config, task_profile=TaskProfile.UNKNOWN)
    actions = [item.action for item in check_config(unknown).recommendations]
    assert actions == ["review_target_modules", "set_task_profile"]


def test_a_low_rate_without_an_adapter_is_let_be() -> None:
    config = ConfigSnapshot(optimizer=OptimizerSnapshot(lr=1e-5))
    assert all(item.evidence["rule"] != "GR103" for item in check_config(config).recommendations)


def test_config_ok_counts_the_rules_and_stands_alone() -> None:
    report = check_config(GOOD)
    assert [item.action for item in report.recommendations] == ["config_ok"]
    assert f"none of {len(RULES)} rules" in report.recommendations[0].message
    assert report.rules_applied == len(RULES)


def test_the_most_severe_comes_first() -> None:
    report = check_config(ConfigSnapshot(optimizer=OptimizerSnapshot(lr=1.0, weight_decay=0.5)))
    assert [severity.value for severity in report.severities][:3] == ["error", "warning", "info"]


def test_thresholds_are_the_policys() -> None:
    policy = CheckPolicy(rank_high=8)
    actions = [item.action for item in check_config(GOOD, policy).recommendations]
    assert actions == ["consider_reduce_rank"]


def test_rules_can_be_left_out() -> None:
    assert check_config(ConfigSnapshot(), rules=()).recommendations[0].action == "config_ok"


def test_codes_are_unique_and_every_rule_can_be_refuted() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert all(rule.refuted_by and rule.source and rule.rationale for rule in RULES)
    assert all(0 < rule.confidence <= 1 for rule in RULES)


def test_the_withdrawn_advice_is_never_given() -> None:
    assert not any("prefer_attention_only" in rule.action for rule in RULES)
