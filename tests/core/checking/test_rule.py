"""A rule is data; a subject holds the effective values."""

import attrs
import pytest

from gradience.core.checking.check import ALL_RULES
from gradience.core.checking.rule import (
    FAMILIES,
    CheckPolicy,
    Rule,
    Subject,
    Verdict,
    apply_rule,
    subject_of,
)
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, OptimizerSnapshot
from tests.core.checking.written_configs import read, verdict

CODES = [rule.code for rule in ALL_RULES]


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
    rule = next(rule for rule in ALL_RULES if rule.code == "GR102")
    subject = subject_of(ConfigSnapshot(optimizer=OptimizerSnapshot(lr=1e-3)))
    found = apply_rule(rule, subject, CheckPolicy())
    assert found is not None
    assert found.action == "consider_lower_lr"
    assert found.evidence == {
        "rule": "GR102",
        "source": rule.source,
        "lr": 1e-3,
        "lr_high": 5e-4,
        "relative_to_full": 50.0,
    }
    assert found.refuted_by == rule.refuted_by


def test_a_rule_with_nothing_to_say_gives_none() -> None:
    rule = next(rule for rule in ALL_RULES if rule.code == "GR102")
    assert apply_rule(rule, subject_of(ConfigSnapshot()), CheckPolicy()) is None


@pytest.mark.parametrize("rule", ALL_RULES, ids=CODES)
def test_a_rule_speaks_on_its_example_and_not_on_the_near_miss(rule: Rule) -> None:
    spoken = verdict(rule.code, rule.speaks)
    assert spoken is not None
    assert spoken.message
    assert verdict(rule.code, rule.silent) is None


@pytest.mark.parametrize("rule", ALL_RULES, ids=CODES)
def test_no_rule_is_more_severe_than_it_says(rule: Rule) -> None:
    for example in (other.speaks for other in ALL_RULES):
        found = verdict(rule.code, example)
        assert found is None or rule.severity.at_least(found.severity)


class _Reading:
    """A policy that keeps what is read of it."""

    def __init__(self) -> None:
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.read.add(name)
        return getattr(CheckPolicy(), name)


@pytest.mark.parametrize("rule", ALL_RULES, ids=CODES)
def test_a_rule_names_the_thresholds_that_it_reads(rule: Rule) -> None:
    policy = _Reading()
    for example in (text for other in ALL_RULES for text in (other.speaks, other.silent)):
        written = read(example)
        judged: Verdict | None = rule.judge(
            Subject(config=written.config, model=written.model),
            policy,  # type: ignore[arg-type]  # a stand-in that watches what is read
        )
        assert judged is None or isinstance(judged, Verdict)
    assert policy.read <= set(rule.thresholds)
    assert set(rule.thresholds) <= {field.name for field in attrs.fields(CheckPolicy)}


def test_every_threshold_belongs_to_a_rule() -> None:
    named = {name for rule in ALL_RULES for name in rule.thresholds}
    assert named == {field.name for field in attrs.fields(CheckPolicy)}


def test_codes_are_of_a_family_and_names_are_unique() -> None:
    assert all(rule.code[:2] == "GR" and rule.code[2] in FAMILIES for rule in ALL_RULES)
    assert len({rule.name for rule in ALL_RULES}) == len(ALL_RULES)
    assert all(rule.family and rule.name.replace("-", "").isalnum() for rule in ALL_RULES)
    assert sorted(CODES) == CODES


def test_the_published_codes_keep_their_actions() -> None:
    published = {
        "GR100": "set_lr",
        "GR101": "lower_lr",
        "GR102": "consider_lower_lr",
        "GR103": "set_lr",
        "GR110": "fix_weight_decay",
        "GR200": "set_target_modules",
        "GR201": "review_target_modules",
        "GR202": "set_task_profile",
        "GR300": "set_rank",
        "GR301": "consider_reduce_rank",
        "GR302": "consider_lower_alpha_over_r",
        "GR401": "set_max_grad_norm",
        "GR402": "prefer_bf16",
        "GR900": "review_adapter_type",
        "GR901": "fix_value",
    }
    assert published.items() <= {rule.code: rule.action for rule in ALL_RULES}.items()


@pytest.mark.parametrize("rule", ALL_RULES, ids=CODES)
def test_thin_evidence_is_said_and_never_more_than_a_remark(rule: Rule) -> None:
    said = ("infer", "secondary copy", "reported")
    if rule.confidence < THIN:
        assert rule.severity.value == "info" or rule.code == "GR601"
        assert any(word in rule.source for word in said) or "of that time" in rule.source


THIN = 0.5
"""Below it evidence is thin; GR601 warns only at ten times the usual number of epochs."""


def test_rules_of_lora_are_silent_where_the_base_is_trained() -> None:
    text = "{optimizer: {lr: 6.0e-4}, lora: {r: 0}, extras: {finetuning: full}}"
    assert verdict("GR102", text) is None
    assert verdict("GR300", text) is None
