"""From the modules' rows to the report."""

from collections.abc import Iterable, Mapping, Sequence

import attrs
import msgspec
import numpy as np

from gradience.core.adapter.module_names import ModuleType
from gradience.core.adapter.tensors import TensorSorting
from gradience.core.audit.module import ModuleAudit
from gradience.core.audit.report import (
    AuditReport,
    Finding,
    LayerData,
    LayerRow,
    ModuleStatus,
    TypeSummary,
)
from gradience.core.dominance.gain import (
    ConcentrationPolicy,
    ModuleGain,
    composition,
    gain_summary,
    global_gain,
    layer_gains,
    module_gain,
)
from gradience.core.numbers import mean_known
from gradience.core.ranks.disagreement import DisagreementPolicy, PolicyTable, policy_table
from gradience.core.ranks.policies import CAVEATS, RankPolicySpec, apply_rank_policy
from gradience.core.ranks.suggest import (
    LayerSuggestion,
    ModuleRank,
    SuggestionPolicy,
    suggest_global,
    suggest_per_layer,
)
from gradience.core.severity import Severity

UDR_NOTICEABLE, UDR_LARGE = 0.1, 0.3
"""The bounds that the contract's keys ``fraction_udr_gt_0_1`` and ``_0_3`` name."""


@attrs.frozen(kw_only=True)
class AuditPolicy:
    """Every threshold and every section of a report."""

    suggestion: SuggestionPolicy = SuggestionPolicy()
    concentration: ConcentrationPolicy = ConcentrationPolicy()
    disagreement: DisagreementPolicy = DisagreementPolicy()
    rank_policies: tuple[RankPolicySpec, ...] = ()
    layers: bool = False
    suggest_per_layer: bool = False
    top_wasteful: int = 0


@attrs.frozen(kw_only=True)
class AuditSource:
    """Where an adapter came from, for the report."""

    peft_dir: str
    adapter_config_path: str
    adapter_weights_path: str
    base_model: str | None = None


def assemble(
    source: AuditSource,
    modules: Sequence[ModuleAudit],
    sorting: TensorSorting,
    findings: Iterable[Finding],
    policy: AuditPolicy | None = None,
) -> AuditReport:
    """Makes the report.

    Args:
        source: Where the adapter came from.
        modules: Every module, in file order.
        sorting: Every tensor of the file.
        findings: What was found besides the modules' own findings.
        policy: Thresholds, and the sections to include.

    Returns:
        The report.
    """
    policy = policy or AuditPolicy()
    rows = [module.row for module in modules]
    trained = [row for row in rows if row.status is ModuleStatus.OK]
    ranks = [_module_rank(row) for row in rows]
    found = tuple(
        sorted(
            [*findings, *(finding for module in modules for finding in module.findings)],
            key=lambda finding: -finding.severity.order,
        )
    )
    evidence = _rank_evidence(trained)
    overall = suggest_global(ranks, policy.suggestion, evidence)
    gains = [_gain(row) for row in trained]
    layers = layer_gains(gains)
    shares = composition(layers, policy.concentration)
    report = AuditReport(
        peft_dir=source.peft_dir,
        adapter_config_path=source.adapter_config_path,
        adapter_weights_path=source.adapter_weights_path,
        base_model=source.base_model,
        total_lora_params=sum(row.params for row in rows),
        n_layers=len(rows),
        n_layers_untrained=sum(row.status is ModuleStatus.UNTRAINED for row in rows),
        stable_rank_mean=evidence["stable_rank_mean"],
        stable_rank_median=_quantile([row.stable_rank for row in trained], 0.5),
        stable_rank_weighted_mean=_weighted_stable_rank(trained),
        effective_rank_mean=mean_known([row.effective_rank for row in trained]),
        utilization_mean=evidence["utilization_mean"],
        energy_rank_90_p50=evidence["energy_rank_90_p50"],
        energy_rank_90_p90=evidence["energy_rank_90_p90"],
        suggested_r_global_median=overall.suggested_r_median,
        suggested_r_global_90=overall.suggested_r_p90,
        by_type=_by_type(rows),
        delta_sigma_max_scaled_mean=mean_known([row.delta_sigma_max for row in trained]),
        delta_sigma_max_scaled_p50=_quantile([row.delta_sigma_max for row in trained], 0.5),
        delta_sigma_max_scaled_p90=_quantile([row.delta_sigma_max for row in trained], 0.9),
        delta_frob_norm_scaled_mean=mean_known([row.delta_fro_norm for row in trained]),
        delta_frob_norm_scaled_p50=_quantile([row.delta_fro_norm for row in trained], 0.5),
        delta_frob_norm_scaled_p90=_quantile([row.delta_fro_norm for row in trained], 0.9),
        gain=gain_summary(gains, layers, shares, policy.concentration),
        per_module_gain=tuple(gains),
        per_layer_gain=layers,
        global_gain=global_gain(gains, shares, policy.concentration),
        composition=shares,
        global_suggestions=overall,
        other_tensors=_count_others(sorting),
        findings=found,
        issues=tuple(f.message for f in found if f.severity.at_least(Severity.WARNING)),
    )
    return _with_sections(_with_udr(report, trained), modules, ranks, policy)


def _with_udr(report: AuditReport, trained: Sequence[LayerRow]) -> AuditReport:
    udr = [row.udr for row in trained if row.udr is not None]
    sdi = [row.sdi for row in trained if row.sdi is not None]
    if not udr:
        return report
    return msgspec.structs.replace(
        report,
        udr_mean=mean_known(udr),
        udr_median=_quantile(udr, 0.5),
        udr_p90=_quantile(udr, 0.9),
        udr_max=max(udr),
        fraction_udr_gt_0_1=sum(ratio > UDR_NOTICEABLE for ratio in udr) / len(udr),
        fraction_udr_gt_0_3=sum(ratio > UDR_LARGE for ratio in udr) / len(udr),
        n_layers_with_udr=len(udr),
        sdi_mean=mean_known(sdi),
        sdi_median=_quantile(sdi, 0.5),
        sdi_p90=_quantile(sdi, 0.9),
    )


def _with_sections(
    report: AuditReport,
    modules: Sequence[ModuleAudit],
    ranks: Sequence[ModuleRank],
    policy: AuditPolicy,
) -> AuditReport:
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
    if policy.rank_policies:
        report = msgspec.structs.replace(report, rank_policies=_policies(modules, policy))
    return report


def _wasteful(
    layers: Sequence[LayerSuggestion], ranks: Sequence[ModuleRank]
) -> tuple[LayerSuggestion, ...]:
    """By parameters beyond the energy rank, most first; an untrained module wastes all."""
    params = {rank.name: rank.params for rank in ranks}

    def wasted(layer: LayerSuggestion) -> float:
        return params[layer.name] * (1 - (layer.energy_rank_90 or 0.0) / layer.current_r)

    return tuple(sorted(layers, key=wasted, reverse=True))


def _policies(modules: Sequence[ModuleAudit], policy: AuditPolicy) -> PolicyTable:
    trained = [module for module in modules if module.row.status is ModuleStatus.OK]
    table: dict[str, dict[str, int]] = {}
    for module in trained:
        row = module.row
        shape = (row.b_shape[0], row.a_shape[1])
        suggestions = {
            spec.label: apply_rank_policy(spec, module.singular_values, shape)
            for spec in policy.rank_policies
        }
        table[row.name] = {name: found.k for name, found in suggestions.items() if found}
    metric = policy.disagreement.importance_metric
    importance = {
        module.row.name: float(module.row.params)
        if metric == "params_share"
        else (module.row.delta_fro_norm or 0.0) * (module.row.delta_fro_norm or 0.0)
        for module in trained
    }
    labels = [spec.label for spec in policy.rank_policies]
    found = policy_table(table, importance, labels, policy.disagreement)
    caveats = tuple(CAVEATS[spec.name] for spec in policy.rank_policies if spec.name in CAVEATS)
    return msgspec.structs.replace(found, caveats=caveats)


def _module_rank(row: LayerRow) -> ModuleRank:
    return ModuleRank(
        name=row.name,
        module_type=row.module_type,
        r=row.r,
        energy_rank_90=row.energy_rank_90,
        stable_rank=row.stable_rank,
        utilization=row.utilization,
        params=row.params,
    )


def _gain(row: LayerRow) -> ModuleGain:
    return module_gain(
        module=row.name,
        r=row.r,
        scaling=row.scale,
        delta_fro=row.delta_fro_norm or 0.0,
        delta_op=row.delta_sigma_max or 0.0,
        rel_delta_fro=row.udr_f,
        rel_delta_op=row.udr,
    )


def _by_type(rows: Sequence[LayerRow]) -> dict[str, TypeSummary]:
    groups = {kind.value: [r for r in rows if r.module_type == kind.value] for kind in ModuleType}
    return {kind: _type_summary(group) for kind, group in groups.items() if group}


def _type_summary(rows: Sequence[LayerRow]) -> TypeSummary:
    return TypeSummary(
        n_layers=len(rows),
        params=sum(row.params for row in rows),
        **_rank_evidence(rows),
    )


def _rank_evidence(rows: Sequence[LayerRow]) -> dict[str, float | None]:
    energy_ranks = [row.energy_rank_90 for row in rows]
    return {
        "stable_rank_mean": mean_known([row.stable_rank for row in rows]),
        "utilization_mean": mean_known([row.utilization for row in rows]),
        "energy_rank_90_p50": _quantile(energy_ranks, 0.5),
        "energy_rank_90_p90": _quantile(energy_ranks, 0.9),
    }


def _weighted_stable_rank(rows: Sequence[LayerRow]) -> float | None:
    pairs = [(row.stable_rank, row.params) for row in rows if row.stable_rank is not None]
    total = sum(params for _, params in pairs)
    return sum(rank * params for rank, params in pairs) / total if total else None


def _count_others(sorting: TensorSorting) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for _, kind in sorting.others:
        counts[kind.value] = counts.get(kind.value, 0) + 1
    return counts


def _quantile(values: Iterable[float | None], q: float) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.quantile(known, q)) if known else None
