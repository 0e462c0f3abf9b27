"""Laws of budgets and plans over all modules."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.ranks.budget import BudgetKind, BudgetPlan, BudgetSpec, budget_plan
from gradience.core.ranks.energy_table import ModuleSpectrum
from gradience.core.ranks.plans import rank_plans
from property_tests.factors import spectra

SHARES = st.floats(0.01, 1.0)
COSTS = st.integers(1, 50)
SLACK = 1e-9


@st.composite
def _modules(draw: st.DrawFn, costs: st.SearchStrategy[int] = COSTS) -> list[ModuleSpectrum]:
    found = draw(st.lists(spectra(), min_size=1, max_size=6))
    scale = max(float(values[0]) for values in found)
    return [
        ModuleSpectrum(
            name=f"m{index}",
            singular_values=values / scale,
            cost=draw(costs),
            r=values.size + draw(st.integers(0, 2)),
        )
        for index, values in enumerate(found)
    ]


def _plan(kind: BudgetKind, amount: float, modules: list[ModuleSpectrum]) -> BudgetPlan:
    return budget_plan(BudgetSpec(kind=kind, amount=amount), modules)


def _uniform(modules: list[ModuleSpectrum], k: int) -> tuple[int, float]:
    """Parameters and discarded share of rank k everywhere."""
    energies = [np.sort(module.singular_values)[::-1] ** 2 for module in modules]
    params = sum(m.cost * min(k, m.singular_values.size) for m in modules)
    total = sum(float(e.sum()) for e in energies)
    return params, sum(float(e[k:].sum()) for e in energies) / total


@given(_modules(), SHARES, st.sampled_from([BudgetKind.SHARE, BudgetKind.ERROR]))
def test_the_plan_tells_the_truth_of_its_ranks(
    modules: list[ModuleSpectrum], amount: float, kind: BudgetKind
) -> None:
    plan = _plan(kind, amount, modules)
    trained = [module for module in modules if module.singular_values.any()]
    assert set(plan.ranks) == {module.name for module in trained}
    total = sum(float(np.sum(module.singular_values**2)) for module in trained)
    left = sum(
        float(np.sum(np.sort(m.singular_values)[::-1][plan.ranks[m.name] :] ** 2)) for m in trained
    )
    assert plan.relative_error**2 == pytest.approx(left / total, abs=1e-12)
    assert plan.energy_kept == pytest.approx(1 - left / total, abs=1e-12)
    assert plan.params == sum(m.cost * plan.ranks[m.name] for m in trained)
    assert plan.max_rank == max(plan.ranks.values())
    for module in trained:
        assert 1 <= plan.ranks[module.name] <= np.count_nonzero(module.singular_values)


@given(_modules(), SHARES)
def test_a_budget_is_met_or_rank_one_everywhere(
    modules: list[ModuleSpectrum], share: float
) -> None:
    plan = _plan(BudgetKind.SHARE, share, modules)
    within = plan.params <= share * plan.params_before * (1 + SLACK)
    assert plan.met == within
    assert within or set(plan.ranks.values()) == {1}


@given(_modules(), st.floats(1e-6, 1.0))
def test_an_error_is_always_met(modules: list[ModuleSpectrum], error: float) -> None:
    plan = _plan(BudgetKind.ERROR, error, modules)
    assert plan.met
    assert plan.relative_error <= error * (1 + SLACK)


@given(_modules(), SHARES, SHARES)
def test_the_error_never_grows_with_the_budget(
    modules: list[ModuleSpectrum], one: float, two: float
) -> None:
    less, more = (_plan(BudgetKind.SHARE, share, modules) for share in sorted([one, two]))
    assert more.relative_error <= less.relative_error + SLACK


@given(_modules(), SHARES, SHARES)
def test_a_smaller_error_never_costs_less(
    modules: list[ModuleSpectrum], one: float, two: float
) -> None:
    strict, loose = (_plan(BudgetKind.ERROR, error, modules) for error in sorted([one, two]))
    assert strict.params >= loose.params


@given(_modules(), SHARES, st.integers(1, 20))
def test_no_uniform_rank_of_as_many_parameters_keeps_more(
    modules: list[ModuleSpectrum], share: float, k: int
) -> None:
    plan = _plan(BudgetKind.SHARE, share, modules)
    params, discarded = _uniform(modules, k)
    if params <= plan.params:
        assert plan.relative_error**2 <= discarded + SLACK


@given(_modules(), st.integers(1, 20))
def test_no_uniform_rank_within_the_budget_keeps_more(
    modules: list[ModuleSpectrum], k: int
) -> None:
    params, discarded = _uniform(modules, k)
    plan = _plan(BudgetKind.PARAMS, params, modules)
    assert plan.params <= params
    assert plan.relative_error**2 <= discarded + SLACK


@given(_modules(), SHARES, st.integers(-40, 40))
def test_ranks_do_not_depend_on_the_scale_of_all(
    modules: list[ModuleSpectrum], share: float, power: int
) -> None:
    scaled = [
        ModuleSpectrum(
            name=m.name, singular_values=m.singular_values * 2.0**power, cost=m.cost, r=m.r
        )
        for m in modules
    ]
    for kind in (BudgetKind.SHARE, BudgetKind.ERROR):
        assert _plan(kind, share, modules) == _plan(kind, share, scaled)


@given(_modules(), st.data())
def test_plans_cost_and_keep_more_with_larger_ranks(
    modules: list[ModuleSpectrum], data: st.DataObject
) -> None:
    wanted = {m.name: data.draw(st.integers(1, m.r)) for m in modules}
    per_layer, *uniform = rank_plans(modules, wanted).plans
    assert per_layer.params <= uniform[-1].params
    assert per_layer.energy_kept <= uniform[-1].energy_kept + SLACK
    for smaller, larger in pairwise(uniform):
        assert smaller.params <= larger.params
        assert smaller.energy_kept <= larger.energy_kept + SLACK
    for plan in (per_layer, *uniform):
        assert plan.energy_kept == pytest.approx(1 - plan.relative_error**2, abs=1e-12)
        assert 0 < plan.params_ratio <= 1
