"""The sections of a report that a person asks for: rows, suggestions, policies, budgets."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.audit.module import ModuleAudit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import (
    AuditReport,
    BudgetSuggestion,
    LayerData,
    LayerRow,
    ModuleStatus,
)
from gradience.core.numbers import mean_known
from gradience.core.ranks.budget import BudgetPlan, budget_plan
from gradience.core.ranks.disagreement import ModulePolicies, PolicyTable, policy_table
from gradience.core.ranks.energy_table import ModuleSpectrum
from gradience.core.ranks.policies import CAVEATS, apply_rank_policy
from gradience.core.ranks.suggest import (
    LayerSuggestion,
    ModuleRank,
    common_rank,
    pattern_for,
    suggest_per_layer,
)

Floats = NDArray[np.float64]


def with_sections(
    report: AuditReport,
    modules: Sequence[ModuleAudit],
    ranks: Sequence[ModuleRank],
    spectra: Sequence[ModuleSpectrum],
    policy: AuditPolicy,
) -> AuditReport:
    """Adds the sections that the policy asks for.

    Args:
        report: The report.
        modules: Every update, in file order.
        ranks: What each module needs.
        spectra: Every module's spectrum.
        policy: Which sections, and their thresholds.

    Returns:
        The report with them.
    """
    if policy.layers:
        rows = tuple(module.row for module in modules)
        report = msgspec.structs.replace(report, layer_data=LayerData(layer_rows=rows))
    if policy.suggest_per_layer or policy.top_wasteful:
        suggestions = suggest_per_layer(ranks, policy.suggestion)
        if policy.suggest_per_layer:
            report = msgspec.structs.replace(report, rank_suggestions=suggestions)
        if policy.top_wasteful:
            wasteful = _wasteful(suggestions.layers, ranks)[: policy.top_wasteful]
            report = msgspec.structs.replace(report, top_wasteful=wasteful)
    budgets = _budgets(modules, spectra, policy)
    if budgets:
        report = msgspec.structs.replace(report, budgets=budgets)
    if policy.rank_policies or budgets:
        plans = [found.plan for found in budgets]
        report = msgspec.structs.replace(report, rank_policies=_policies(modules, plans, policy))
    return report


def module_ranks(rows: Sequence[LayerRow]) -> list[ModuleRank]:
    """What each module needs; one with experts needs what its most demanding expert does.

    PEFT knows one rank for all experts of a module.
    """
    groups: dict[str, list[LayerRow]] = {}
    for row in rows:
        groups.setdefault(row.module, []).append(row)
    return [
        ModuleRank(
            name=name,
            module_type=group[0].module_type,
            r=group[0].r,
            energy_rank_90=max(
                (row.energy_rank_90 for row in group if row.energy_rank_90 is not None),
                default=None,
            ),
            stable_rank=mean_known([row.stable_rank for row in group]),
            utilization=mean_known([row.utilization for row in group]),
            params=sum(row.params for row in group),
        )
        for name, group in groups.items()
    ]


def module_spectra(modules: Sequence[ModuleAudit]) -> list[ModuleSpectrum]:
    """The spectra that ranks over all modules are chosen from, scaled, experts together.

    Cutting every expert of a module to rank k keeps Σσᵢ² over experts and i ≤ k, so the module's
    i-th value is the root of Σσᵢ² over its experts.
    """
    groups: dict[str, list[ModuleAudit]] = {}
    for module in modules:
        if module.row.status is ModuleStatus.OK:
            groups.setdefault(module.row.module, []).append(module)
    return [
        ModuleSpectrum(
            name=name,
            singular_values=_together([abs(m.row.scale) * m.singular_values for m in group]),
            cost=sum(m.row.params // m.row.r for m in group),
            r=max(max(m.row.r, m.singular_values.size) for m in group),
        )
        for name, group in groups.items()
    ]


def _together(spectra: Sequence[Floats]) -> Floats:
    if len(spectra) == 1:
        return spectra[0]
    largest = max(float(values[0]) for values in spectra)
    total: Floats = largest * np.sqrt(sum((values / largest) ** 2 for values in spectra))
    return total


def _wasteful(
    layers: Sequence[LayerSuggestion], ranks: Sequence[ModuleRank]
) -> tuple[LayerSuggestion, ...]:
    """By parameters beyond the energy rank, most first; an untrained module wastes all."""
    params = {rank.name: rank.params for rank in ranks}

    def wasted(layer: LayerSuggestion) -> float:
        return params[layer.name] * (1 - (layer.energy_rank_90 or 0.0) / max(layer.current_r, 1))

    return tuple(sorted(layers, key=wasted, reverse=True))


def _budgets(
    modules: Sequence[ModuleAudit], spectra: Sequence[ModuleSpectrum], policy: AuditPolicy
) -> tuple[BudgetSuggestion, ...]:
    names = [module.row.module for module in modules]
    found = []
    for spec in policy.budgets:
        plan = budget_plan(spec, spectra)
        default = common_rank(plan.ranks.values())
        differing = {name: rank for name, rank in plan.ranks.items() if rank != default}
        pattern = pattern_for(differing, names)
        found.append(BudgetSuggestion(plan=plan, default_r=default, rank_pattern=pattern))
    return tuple(found)


def _policies(
    modules: Sequence[ModuleAudit], plans: Sequence[BudgetPlan], policy: AuditPolicy
) -> PolicyTable:
    trained = [module for module in modules if module.row.status is ModuleStatus.OK]
    table: dict[str, Mapping[str, int]] = {}
    for module in trained:
        row = module.row
        shape = (row.b_shape[0], row.a_shape[1])
        suggestions = {
            spec.label: apply_rank_policy(spec, module.singular_values, shape, module.null)
            for spec in policy.rank_policies
        }
        table[row.name] = {name: found.k for name, found in suggestions.items() if found}
    importance = {module.row.name: _importance(module.row, policy) for module in trained}
    labels = [spec.label for spec in policy.rank_policies]
    found = policy_table(table, importance, labels, policy.disagreement)
    caveats = tuple(CAVEATS[spec.name] for spec in policy.rank_policies if spec.name in CAVEATS)
    modules_of = {module.row.name: module.row.module for module in trained}
    return msgspec.structs.replace(
        found,
        caveats=caveats,
        policies=(*labels, *(plan.spec for plan in plans)),
        modules=tuple(_with_budgets(m, modules_of[m.name], plans) for m in found.modules),
    )


def _with_budgets(
    found: ModulePolicies, module: str, plans: Sequence[BudgetPlan]
) -> ModulePolicies:
    """Budgets stand beside the policies but not in the spread: they weigh all modules together."""
    ranks = {**found.k_by_policy, **{plan.spec: plan.ranks[module] for plan in plans}}
    return msgspec.structs.replace(found, k_by_policy=ranks)


def _importance(row: LayerRow, policy: AuditPolicy) -> float:
    if policy.disagreement.importance_metric == "params_share":
        return float(row.params)
    return (row.delta_fro_norm or 0.0) * (row.delta_fro_norm or 0.0)
