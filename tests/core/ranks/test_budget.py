"""Budgets by hand and against every possible allocation."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.budget import (
    BudgetKind,
    BudgetSpec,
    budget_plan,
    parse_budget,
    parse_rank_rule,
)
from gradience.core.ranks.energy_table import ModuleSpectrum
from gradience.core.ranks.policies import RankPolicySpec


def _module(name: str, *values: float, cost: int = 10) -> ModuleSpectrum:
    spectrum = np.array(values, dtype=np.float64)
    return ModuleSpectrum(name=name, singular_values=spectrum, cost=cost, r=max(len(values), 1))


class _Allocation(NamedTuple):
    params: int
    discarded: float


def _every_allocation(modules: list[ModuleSpectrum]) -> list[_Allocation]:
    total = sum(float(np.sum(module.singular_values**2)) for module in modules)
    found = []
    for ranks in itertools.product(*(range(1, m.singular_values.size + 1) for m in modules)):
        pairs = list(zip(modules, ranks, strict=True))
        left = [float(np.sum(np.sort(m.singular_values)[::-1][k:] ** 2)) for m, k in pairs]
        found.append(_Allocation(sum(m.cost * k for m, k in pairs), sum(left) / total))
    return found


def _random_modules(seed: int) -> list[ModuleSpectrum]:
    generator = np.random.default_rng(seed)
    return [
        _module(f"m{i}", *generator.exponential(size=4), cost=int(generator.integers(3, 12)))
        for i in range(4)
    ]


def _behind(modules: list[ModuleSpectrum], ranks: Mapping[str, int]) -> float:
    """The largest share of energy that one more direction would keep."""
    total = sum(float(np.sum(module.singular_values**2)) for module in modules)
    values = [np.append(np.sort(m.singular_values)[::-1], 0.0)[ranks[m.name]] for m in modules]
    return float(max(value**2 for value in values)) / total


@pytest.mark.parametrize("seed", range(5))
def test_no_allocation_within_the_budget_keeps_a_direction_more(seed: int) -> None:
    modules = _random_modules(seed)
    everything = _every_allocation(modules)
    optimal = 0
    budgets = range(sum(m.cost for m in modules), max(a.params for a in everything) + 1)
    for budget in budgets:
        plan = budget_plan(BudgetSpec(kind=BudgetKind.PARAMS, amount=budget), modules)
        lost = plan.relative_error**2
        at_its_size = min(a.discarded for a in everything if a.params <= plan.params)
        uniform = len(set(plan.ranks.values())) == 1
        assert uniform or lost == pytest.approx(at_its_size, abs=1e-12)
        within = min(a.discarded for a in everything if a.params <= budget)
        assert lost <= within + _behind(modules, plan.ranks) + 1e-12
        assert plan.met
        assert plan.params <= budget
        optimal += lost <= within + 1e-12
    assert optimal > len(budgets) / 3


@pytest.mark.parametrize("seed", range(5))
def test_no_allocation_meets_an_error_with_a_direction_less(seed: int) -> None:
    modules = _random_modules(seed)
    everything = _every_allocation(modules)
    largest = max(m.cost for m in modules)
    for error in np.linspace(0.05, 0.95, 40):
        plan = budget_plan(BudgetSpec(kind=BudgetKind.ERROR, amount=float(error)), modules)
        assert plan.relative_error <= error
        least = min(a.params for a in everything if a.discarded <= error**2)
        assert least <= plan.params < least + largest
        exact = budget_plan(
            BudgetSpec(kind=BudgetKind.ERROR, amount=plan.relative_error or 1e-9), modules
        )
        fewest = min(a.params for a in everything if a.discarded <= plan.relative_error**2 + 1e-12)
        assert exact.params == plan.params == fewest


def test_energy_per_parameter_decides() -> None:
    modules = [_module("dear", 3.0, 2.9, cost=100), _module("cheap", 3.0, 1.0, cost=10)]
    plan = budget_plan("budget_params@120", modules)
    assert plan.ranks == {"dear": 1, "cheap": 2}
    assert (plan.params, plan.params_before, plan.max_rank) == (120, 220, 2)
    assert plan.energy_kept == pytest.approx(19.0 / 27.41)
    assert plan.relative_error == pytest.approx((8.41 / 27.41) ** 0.5)


def test_half_of_the_parameters_goes_where_the_energy_is() -> None:
    plan = budget_plan("budget@0.5", [_module("a", 9.0, 8.0, 7.0), _module("b", 1.0, 0.1, 0.1)])
    assert plan.ranks == {"a": 2, "b": 1}
    assert (plan.params, plan.params_before, plan.met, plan.note) == (30, 60, True, "")
    assert plan.spec == "budget@0.5"


def test_a_budget_below_rank_one_everywhere_is_not_met_and_says_so() -> None:
    plan = budget_plan("budget_params@5", [_module("a", 2.0, 1.0), _module("b", 2.0, 1.0)])
    assert (plan.ranks, plan.met) == ({"a": 1, "b": 1}, False)
    assert plan.note == (
        "rank 1 everywhere is 20 parameters, beyond the budget of 5; PEFT knows no rank 0"
    )


def test_a_budget_beyond_everything_keeps_every_direction_but_the_empty_ones() -> None:
    plan = budget_plan("budget@1", [_module("a", 2.0, 1.0, 0.0), _module("b", 1.0, 0.0, 0.0)])
    assert (plan.ranks, plan.relative_error, plan.energy_kept) == ({"a": 2, "b": 1}, 0.0, 1.0)


def test_modules_without_an_update_are_left_out_and_counted() -> None:
    plan = budget_plan("budget@1", [_module("a", 2.0), _module("b", 0.0), _module("c")])
    assert (plan.ranks, plan.params_before) == ({"a": 1}, 10)
    assert plan.note == "2 modules without an update are left out"


@pytest.mark.parametrize("text", ["budget@0.5", "budget_params@10", "budget_error@0.1"])
def test_no_modules_give_an_empty_plan(text: str) -> None:
    plan = budget_plan(text, [])
    assert (plan.ranks, plan.params, plan.relative_error, plan.max_rank) == ({}, 0, 0.0, 0)
    assert plan.met


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("budget@0.5", BudgetKind.SHARE, 0.5),
        (" budget_params@1000000 ", BudgetKind.PARAMS, 1e6),
        ("budget_error@0.1", BudgetKind.ERROR, 0.1),
    ],
)
def test_budgets_are_read_and_written(text: str, kind: BudgetKind, amount: float) -> None:
    found = parse_rank_rule(text)
    assert isinstance(found, BudgetSpec)
    assert (found.kind, found.amount, found.label) == (kind, amount, text.strip())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget", "a share above 0 and at most 1"),
        ("budget@", "as in budget@0.5"),
        ("budget@0", "a share above 0"),
        ("budget@1.1", "at most 1"),
        ("budget@half", "a share"),
        ("budget@nan", "a share"),
        ("budget_params@1.5", "a whole number"),
        ("budget_params@inf", "a whole number"),
        ("budget_error@-1", "an error above 0"),
        ("budget_mistake@1", "expected one of budget, budget_error, budget_params"),
    ],
)
def test_budgets_that_cannot_be_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"budget .*{message}"):
        parse_budget(text)


def test_a_rule_is_a_budget_or_a_policy() -> None:
    assert parse_budget("energy@0.9") is None
    assert parse_rank_rule("energy@0.9") == RankPolicySpec(name="energy", threshold=0.9)
    with pytest.raises(ConfigError, match=r"'magic'.* or a budget"):
        parse_rank_rule("magic")


def test_a_plan_wants_a_budget() -> None:
    with pytest.raises(ConfigError, match="'knee': expected a budget"):
        budget_plan("knee", [])
    with pytest.raises(ConfigError, match="a share above 0"):
        budget_plan(BudgetSpec(kind=BudgetKind.SHARE, amount=2.0), [])
