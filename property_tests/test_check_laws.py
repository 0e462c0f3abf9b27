"""Laws of the check: no configuration makes it fail, and the same one is always judged alike."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.architecture.fit import ModelFit
from gradience.core.checking.check import ALL_RULES, CheckReport, check_config
from gradience.core.checking.rule import CheckPolicy, Rule
from gradience.core.checking.selection import select_rules
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from gradience.core.nonfinite import split_nonfinite
from gradience.core.severity import Severity
from property_tests.check_configs import CONFIGS, MODELS


def codes(report: CheckReport) -> list[object]:
    return [item.evidence.get("rule") for item in report.recommendations]


@given(CONFIGS, MODELS)
def test_any_configuration_is_judged_alike_twice_and_left_as_it_was(
    config: ConfigSnapshot, model: ModelFit | None
) -> None:
    before = repr((config, model))
    first, second = (check_config(config, rules=ALL_RULES, model=model) for _ in range(2))
    assert repr(first) == repr(second)
    assert repr((config, model)) == before


@given(CONFIGS, MODELS)
def test_all_is_well_only_where_nothing_else_is_said(
    config: ConfigSnapshot, model: ModelFit | None
) -> None:
    report = check_config(config, model=model)
    well = [item for item in report.recommendations if item.action == "config_ok"]
    assert bool(well) == (codes(report) == [None])
    assert report.recommendations
    assert len(set(codes(report))) == len(report.recommendations)


@given(CONFIGS, MODELS)
def test_the_most_severe_comes_first_and_none_exceeds_its_rule(
    config: ConfigSnapshot, model: ModelFit | None
) -> None:
    report = check_config(config, rules=ALL_RULES, model=model)
    orders = [severity.order for severity in report.severities]
    assert orders == sorted(orders, reverse=True)
    highest = {rule.code: rule.severity for rule in ALL_RULES}
    for item in report.recommendations:
        code = item.evidence.get("rule")
        assert not isinstance(code, str) or highest[code].at_least(item.severity)


@given(CONFIGS, MODELS)
def test_a_report_is_json(config: ConfigSnapshot, model: ModelFit | None) -> None:
    value, _ = split_nonfinite(msgspec.to_builtins(check_config(config, model=model)))
    assert msgspec.json.decode(msgspec.json.encode(value))


@given(CONFIGS, MODELS, st.sets(st.sampled_from(ALL_RULES)))
def test_each_rule_speaks_for_itself(
    config: ConfigSnapshot, model: ModelFit | None, chosen: set[Rule]
) -> None:
    some = tuple(rule for rule in ALL_RULES if rule in chosen)
    names = {rule.code for rule in some}
    alone = codes(check_config(config, rules=some, model=model))
    together = codes(check_config(config, rules=ALL_RULES, model=model))
    assert [code for code in alone if code] == [code for code in together if code in names]


SELECTORS = st.lists(st.sampled_from(["ALL", "GR", "GR1", "GR2", "GR201", "GR10", "lr-high"]))


@given(SELECTORS, SELECTORS)
def test_what_is_ignored_as_exactly_is_never_selected(select: list[str], ignore: list[str]) -> None:
    chosen = select_rules(ALL_RULES, select, ignore)
    assert set(chosen) <= set(select_rules(ALL_RULES, select))
    assert select_rules(ALL_RULES, select, [*ignore, *select]) == ()
    assert list(chosen) == [rule for rule in ALL_RULES if rule in chosen]


def worst(config: ConfigSnapshot, *found: str) -> int:
    """The order of the most severe finding of some rules; -1 for none."""
    report = check_config(config)
    return max(
        (
            item.severity.order
            for item in report.recommendations
            if item.evidence.get("rule") in found
        ),
        default=-1,
    )


RATES = st.floats(min_value=2e-4, max_value=1e3)


@given(RATES, RATES)
def test_a_higher_rate_is_never_judged_more_mildly(one: float, other: float) -> None:
    low, high = (
        worst(ConfigSnapshot(optimizer=OptimizerSnapshot(lr=lr)), "GR101", "GR102")
        for lr in sorted((one, other))
    )
    assert low <= high


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_weight_decay_is_never_judged_more_mildly(one: float, other: float) -> None:
    low, high = (
        worst(ConfigSnapshot(optimizer=OptimizerSnapshot(weight_decay=decay)), "GR110")
        for decay in sorted((one, other))
    )
    assert low <= high


@given(st.floats(0.1, 1e6), st.floats(0.1, 1e6))
def test_more_epochs_are_never_judged_more_mildly(one: float, other: float) -> None:
    low, high = (
        worst(ConfigSnapshot(training=TrainingSnapshot(epochs=epochs)), "GR601")
        for epochs in sorted((one, other))
    )
    assert low <= high


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(1, 1e6))
def test_a_higher_threshold_never_finds_more(r: int, limit: int, alpha: float) -> None:
    config = ConfigSnapshot(lora=LoraSnapshot(r=r, alpha=alpha))
    tight, loose = CheckPolicy(rank_high=limit), CheckPolicy(rank_high=limit + 1)
    found = [
        any(
            item.evidence.get("rule") == "GR301" for item in check_config(config, p).recommendations
        )
        for p in (loose, tight)
    ]
    assert found[0] <= found[1]


@given(CONFIGS)
def test_nothing_about_lora_is_said_of_full_fine_tuning(config: ConfigSnapshot) -> None:
    given_extras = {key: item for key, item in config.extras.items() if key != "defaults"}
    full = msgspec.structs.replace(config, extras={**given_extras, "finetuning": "full"})
    about_lora = {rule.code for rule in ALL_RULES if rule.lora_only}
    assert not about_lora & set(codes(check_config(full)))


@given(CONFIGS)
def test_an_easy_task_is_never_warned_of_attention_alone(config: ConfigSnapshot) -> None:
    easy = msgspec.structs.replace(config, task_profile=TaskProfile.EASY_CLASSIFICATION)
    found = [
        item.severity
        for item in check_config(easy).recommendations
        if item.evidence.get("rule") == "GR201"
    ]
    assert found in ([], [Severity.INFO])
