"""Plans side by side, by hand."""

import numpy as np
import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.energy_table import ModuleSpectrum
from gradience.core.ranks.plans import PlanPolicy, RankPlans, rank_plans
from gradience.core.ranks.suggest import ModuleRank, SuggestionPolicy, suggest_global


def _module(name: str, *values: float, cost: int = 10) -> ModuleSpectrum:
    spectrum = np.array(values, dtype=np.float64)
    return ModuleSpectrum(name=name, singular_values=spectrum, cost=cost, r=max(len(values), 1))


def _modules(count: int, width: int = 16) -> list[ModuleSpectrum]:
    generator = np.random.default_rng(count)
    return [_module(f"m{i}", *generator.exponential(size=width)) for i in range(count)]


def test_costs_and_energies_by_hand() -> None:
    modules = [_module("a", 3.0, 1.0, 0.0, 0.0), _module("b", 2.0, 2.0, 1.0, 0.0, cost=20)]
    found = rank_plans(modules, {"a": 1, "b": 3})
    plans = {plan.name: plan for plan in found.plans}
    assert list(plans) == ["per_layer", "uniform_median", "uniform_p90", "uniform_max"]
    per_layer, median, largest = (
        plans["per_layer"],
        plans["uniform_median"],
        plans["uniform_max"],
    )
    assert (per_layer.max_rank, per_layer.params, per_layer.params_ratio) == (4, 90, 0.75)
    assert per_layer.energy_kept == pytest.approx(18 / 19)
    assert per_layer.relative_error == pytest.approx((1 / 19) ** 0.5)
    assert (median.max_rank, median.params) == (2, 60)
    assert median.energy_kept == pytest.approx(18 / 19)
    assert (largest.max_rank, largest.params_ratio, largest.energy_kept) == (4, 1.0, 1.0)


def test_uniform_ranks_are_the_global_suggestions() -> None:
    modules, wanted = _modules(30), {f"m{i}": 1 + i % 12 for i in range(30)}
    rows = [
        ModuleRank(name=m.name, module_type="attn", r=m.r, energy_rank_90=wanted[m.name])
        for m in modules
    ]
    found, overall = rank_plans(modules, wanted), suggest_global(rows)
    assert [plan.max_rank for plan in found.plans[1:]] == [
        overall.suggested_r_median,
        overall.suggested_r_p90,
        overall.suggested_r_max,
    ]


def _with_large(large: int, policy: PlanPolicy | None = None) -> RankPlans:
    wanted = {f"m{i}": 12 if i < large else 2 for i in range(30)}
    return rank_plans(_modules(30), wanted, policy)


def test_few_modules_that_decide_the_largest_rank_are_named() -> None:
    found = _with_large(2)
    assert (found.outliers, found.max_rank_without_outliers) == (("m0", "m1"), 2)
    assert found.note.startswith("2 of 30 modules alone need rank 16, the others at most 2")
    assert found.plans[0].max_rank == 16
    assert found.plans[0].params < found.plans[3].params


def test_a_tenth_of_the_modules_are_no_outliers() -> None:
    found = _with_large(3)
    assert (found.outliers, found.max_rank_without_outliers, found.note) == ((), None, "")
    assert len(_with_large(3, PlanPolicy(outlier_fraction=0.2)).outliers) == 3


def test_a_single_rank_everywhere_has_no_outliers() -> None:
    assert _with_large(30).outliers == _with_large(0).outliers == ()


def test_a_module_of_lower_present_rank_keeps_it() -> None:
    modules = [_module("a", *[1.0] * 8), _module("b", 1.0, 1.0)]
    largest = rank_plans(modules, {"a": 8, "b": 2}).plans[3]
    assert (largest.params, largest.params_ratio) == (100, 1.0)


def test_allowed_ranks_are_the_policys() -> None:
    policy = PlanPolicy(suggestion=SuggestionPolicy(allowed_ranks=(3, 5)))
    assert rank_plans(_modules(4), {f"m{i}": 4 for i in range(4)}, policy).plans[0].max_rank == 5


def test_nothing_trained_gives_no_plans() -> None:
    found = rank_plans([_module("a", 0.0)], {})
    assert (found.plans, found.note) == ((), "no module has an update")


def test_a_module_without_a_wanted_rank_is_refused() -> None:
    with pytest.raises(ConfigError, match="module m0: expected a wanted rank"):
        rank_plans(_modules(1), {})
