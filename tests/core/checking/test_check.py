"""Every rule of the check at both sides of its threshold, and the report."""

from typing import NamedTuple

import msgspec
import pytest

from gradience.core.architecture.fit import ModelFit
from gradience.core.checking.check import ALL_RULES, RULES, check_config
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
NAN = float("nan")
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
    Case("optimizer", {"lr": 1e-2}, "GR101", ERROR, "beyond any published LoRA recipe"),
    Case("optimizer", {"lr": 5.1e-4}, "GR102", WARNING, "is above 0.0005"),
    Case("optimizer", {"lr": 1.9e-5}, "GR103", INFO, "one for full fine-tuning"),
    Case("optimizer", {"lr": 2e-5}, "GR103", INFO, "the default of TRL's SFTConfig"),
    Case("optimizer", {"lr": 5e-5}, "GR103", INFO, "the default of Hugging Face"),
    Case("optimizer", {"weight_decay": -0.1}, "GR110", ERROR, "-0.1 is negative"),
    Case("optimizer", {"weight_decay": 0.11}, "GR110", WARNING, "is above 0.1"),
    Case("lora", {"target_modules": None}, "GR200", INFO, "no target modules"),
    Case("lora", {"target_modules": ()}, "GR200", WARNING, "nothing would be adapted"),
    Case("lora", {"target_modules": ATTENTION}, "GR201", WARNING, "only attention is adapted"),
    Case("lora", {"r": None}, "GR300", INFO, "no rank is given"),
    Case("lora", {"r": 0}, "GR300", ERROR, "rank 0 is no rank"),
    Case("lora", {"alpha": 65}, "GR302", WARNING, "scaled by 4.0625 (α/r)"),
    Case("lora", {"extras": {"use_rslora": True}}, "GR303", WARNING, "means s = 8"),
    Case("lora", {"r": 128, "alpha": 128}, "GR305", INFO, "rank 128: a short run at it, audited"),
    Case("training", {"extras": {"max_grad_norm": 0}}, "GR401", WARNING, "clipping is off"),
    Case("training", {"extras": {"max_grad_norm": None}}, "GR401", WARNING, "clipping is off"),
    Case("training", {"extras": {"max_grad_norm": "0.0"}}, "GR401", WARNING, "clipping is off"),
    Case("optimizer", {"weight_decay": NAN}, "GR901", ERROR, "optimizer.weight_decay is nan"),
    Case("lora", {"alpha": 0.0}, "GR901", ERROR, "lora.alpha is 0"),
    Case("lora", {"alpha": -4.0}, "GR901", ERROR, "lora.alpha is -4, not finite and above 0"),
    Case("lora", {"alpha": NAN}, "GR901", ERROR, "lora.alpha is nan"),
    Case("lora", {"dropout": 1.0}, "GR901", ERROR, "lora.dropout is 1, not at least 0 and"),
    Case("lora", {"dropout": -0.1}, "GR901", ERROR, "lora.dropout is -0.1"),
    Case("lora", {"dropout": NAN}, "GR901", ERROR, "lora.dropout is nan"),
    Case("training", {"batch_size": 0}, "GR901", ERROR, "training.batch_size is 0, not at least 1"),
    Case("training", {"gradient_accumulation": 0}, "GR901", ERROR, "gradient_accumulation is 0"),
    Case("training", {"max_steps": -5}, "GR901", ERROR, "training.max_steps is -5"),
    Case("training", {"epochs": 0.0}, "GR901", ERROR, "training.epochs is 0"),
    Case("training", {"epochs": float("inf")}, "GR901", ERROR, "training.epochs is inf"),
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
        ("optimizer", {"lr": 2.1e-5}),
        ("optimizer", {"weight_decay": 0.1}),
        ("optimizer", {"weight_decay": None}),
        ("lora", {"target_modules": ("q_proj", "up_proj")}),
        ("lora", {"target_modules": r".*\.(q|v)_proj"}),
        ("lora", {"r": 8, "alpha": 32}),
        ("lora", {"alpha": 64}),
        ("lora", {"r": 1, "alpha": 32}),
        ("lora", {"alpha": None}),
        ("lora", {"dropout": 0.0}),
        ("training", {"extras": {}}),
        ("training", {"extras": {"max_grad_norm": "0.3"}}),
        ("training", {"extras": {"max_grad_norm": "much"}}),
        ("training", {"batch_size": 1, "gradient_accumulation": 1, "max_steps": 1}),
        ("training", {"epochs": 0.1}),
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


def rules_of(config: ConfigSnapshot) -> dict[object, str]:
    found = check_config(config).recommendations
    return {item.evidence["rule"]: item.message for item in found}


def test_a_rate_that_is_no_number_is_both_useless_and_impossible() -> None:
    assert rules_of(changed("optimizer", {"lr": NAN})).keys() == {"GR101", "GR901"}


def test_every_impossible_value_is_listed() -> None:
    config = changed("lora", {"alpha": -1.0, "dropout": 2.0})
    (found,) = check_config(config).recommendations
    assert "lora.alpha is -1, not" in found.message
    assert "lora.dropout is 2, not" in found.message
    assert found.evidence["values"] == {"lora.alpha": -1.0, "lora.dropout": 2.0}
    assert (found.action, found.scope) == ("fix_value", "config")


def test_a_negative_rank_is_judged_under_rslora_too() -> None:
    config = changed("lora", {"r": -4, "extras": {"use_rslora": True}})
    assert rules_of(config).keys() == {"GR300"}
    assert check_config(config).scaling is None


def test_loras_rules_are_silent_for_another_type() -> None:
    config = ConfigSnapshot(
        optimizer=OptimizerSnapshot(lr=0.3, weight_decay=0.5), extras={"peft_type": "PROMPT_TUNING"}
    )
    found = rules_of(config)
    assert found.keys() == {"GR900"}
    assert "PROMPT_TUNING: LoRA rules were not applied" in found["GR900"]


@pytest.mark.parametrize("lr", [0.0, -1.0, NAN])
def test_a_nonsense_rate_is_one_for_every_type(lr: float) -> None:
    config = ConfigSnapshot(
        optimizer=OptimizerSnapshot(lr=lr, weight_decay=-0.5), extras={"peft_type": "IA3"}
    )
    assert {"GR900", "GR101", "GR110"} <= rules_of(config).keys()


@pytest.mark.parametrize("kind", ["LORA", "lora", 3])
def test_lora_is_no_other_type(kind: object) -> None:
    assert "GR900" not in rules_of(ConfigSnapshot(extras={"peft_type": kind}))


def test_the_report_holds_the_scaling_that_acts() -> None:
    assert check_config(GOOD).scaling == 2.0
    ratio = ConfigSnapshot(lora=LoraSnapshot(r=16, alpha_over_r=8.0))
    assert check_config(ratio).scaling == 8.0
    assert "scaled by 8" in rules_of(ratio)["GR302"]


def test_every_recommendation_names_a_source() -> None:
    for config in (GOOD, ConfigSnapshot()):
        assert all(item.evidence["source"] for item in check_config(config).recommendations)


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


def test_the_report_holds_effective_values() -> None:
    training = TrainingSnapshot(batch_size=2, gradient_accumulation=4, extras={"world_size": 3})
    lora = LoraSnapshot(r=8, extras={"rank_pattern": {"q_proj": 32}})
    report = check_config(ConfigSnapshot(lora=lora, training=training))
    assert (report.effective_batch, report.max_rank) == (24.0, 32)
    assert report.vllm_max_lora_rank == 32
    assert check_config(ConfigSnapshot()).effective_batch is None


@pytest.mark.parametrize(
    ("r", "room"), [(1, None), (16, None), (17, 32), (48, 64), (512, 512), (513, None)]
)
def test_the_report_names_what_serving_takes(r: int, room: int | None) -> None:
    report = check_config(ConfigSnapshot(lora=LoraSnapshot(r=r)))
    assert report.vllm_max_lora_rank == room


def test_a_rank_that_a_setting_serves_is_no_finding() -> None:
    good = changed("lora", {"r": 32})
    assert [item.action for item in check_config(good).recommendations] == ["config_ok"]
    everything = check_config(good, rules=ALL_RULES)
    assert [item.evidence["rule"] for item in everything.recommendations] == ["GR801"]


def test_the_model_is_handed_on() -> None:
    fit = ModelFit(unmatched_targets=("q",))
    report = check_config(GOOD, model=fit)
    assert report.model is fit
    assert [item.evidence["rule"] for item in report.recommendations] == ["GR903"]


def test_rules_can_be_left_out() -> None:
    assert check_config(ConfigSnapshot(), rules=()).recommendations == ()


def test_codes_are_unique_and_every_rule_can_be_refuted() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert all(rule.refuted_by and rule.source and rule.rationale for rule in RULES)
    assert all(0 < rule.confidence <= 1 for rule in RULES)


def test_the_withdrawn_advice_is_never_given() -> None:
    assert not any("prefer_attention_only" in rule.action for rule in RULES)
