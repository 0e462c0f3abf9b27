"""From the modules' rows to the report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import attrs
import msgspec

from gradience.core.adapter.module_names import ModuleType
from gradience.core.adapter.peft_methods import LORA
from gradience.core.adapter.tensors import AdapterContents, TensorInfo
from gradience.core.audit.module import ModuleAudit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.quantity_findings import group_findings, like_noise
from gradience.core.audit.report import (
    AuditReport,
    Finding,
    LayerRow,
    ModuleStatus,
    NullSummary,
    TypeSummary,
)
from gradience.core.audit.sections import module_ranks, module_spectra, with_sections
from gradience.core.dominance.gain import (
    Composition,
    ConcentrationPolicy,
    Gain,
    GlobalGain,
    LayerGain,
    ModuleGain,
    composition,
    gain_summary,
    global_gain,
    layer_gains,
    module_gain,
)
from gradience.core.numbers import mean_known, quantile
from gradience.core.ranks.energy_table import ModuleSpectrum
from gradience.core.ranks.plans import RankPlans, rank_plans
from gradience.core.ranks.suggest import ModuleRank, suggest_global
from gradience.core.severity import Severity
from gradience.core.spectra.null_baseline import NULL_METHOD

UDR_NOTICEABLE, UDR_LARGE = 0.1, 0.3
"""The bounds that the contract's keys ``fraction_udr_gt_0_1`` and ``_0_3`` name."""


@attrs.frozen(kw_only=True)
class AuditSource:
    """Where an adapter came from, for the report."""

    peft_dir: str
    adapter_config_path: str | None
    adapter_weights_path: str
    base_model: str | None = None


def assemble(
    source: AuditSource,
    modules: Sequence[ModuleAudit],
    contents: AdapterContents,
    findings: Iterable[Finding],
    policy: AuditPolicy | None = None,
) -> AuditReport:
    """Makes the report.

    Args:
        source: Where the adapter came from.
        modules: Every module, in file order.
        contents: Every tensor of the file.
        findings: What was found besides the modules' own findings.
        policy: Thresholds, and the sections to include.

    Returns:
        The report.
    """
    policy = policy or AuditPolicy()
    rows = [module.row for module in modules]
    trained = [row for row in rows if row.status is ModuleStatus.OK]
    ranks, spectra = module_ranks(rows), module_spectra(modules)
    found = group_findings([*findings, *(f for module in modules for f in module.findings)])
    evidence = _rank_evidence(trained)
    overall = suggest_global(ranks, policy.suggestion, evidence)
    gains = _gains(trained, policy.concentration)
    report = AuditReport(
        peft_dir=source.peft_dir,
        adapter_config_path=source.adapter_config_path,
        adapter_weights_path=source.adapter_weights_path,
        base_model=source.base_model,
        layout=contents.layout,
        peft_type=contents.config.peft_type if contents.config else LORA,
        total_lora_params=sum(row.params for row in rows),
        n_modules=len({row.module for row in rows}),
        n_layers=len(rows),
        n_layers_untrained=sum(row.status is ModuleStatus.UNTRAINED for row in rows),
        stable_rank_mean=evidence["stable_rank_mean"],
        stable_rank_median=quantile([row.stable_rank for row in trained], 0.5),
        stable_rank_weighted_mean=_weighted_stable_rank(trained),
        effective_rank_mean=mean_known([row.effective_rank for row in trained]),
        utilization_mean=evidence["utilization_mean"],
        energy_rank_90_p50=evidence["energy_rank_90_p50"],
        energy_rank_90_p90=evidence["energy_rank_90_p90"],
        suggested_r_global_median=overall.suggested_r_median,
        suggested_r_global_90=overall.suggested_r_p90,
        by_type=_by_type(rows),
        delta_sigma_max_scaled_mean=mean_known([row.delta_sigma_max for row in trained]),
        delta_sigma_max_scaled_p50=quantile([row.delta_sigma_max for row in trained], 0.5),
        delta_sigma_max_scaled_p90=quantile([row.delta_sigma_max for row in trained], 0.9),
        delta_frob_norm_scaled_mean=mean_known([row.delta_fro_norm for row in trained]),
        delta_frob_norm_scaled_p50=quantile([row.delta_fro_norm for row in trained], 0.5),
        delta_frob_norm_scaled_p90=quantile([row.delta_fro_norm for row in trained], 0.9),
        gain=gains.overall,
        per_module_gain=gains.modules,
        per_layer_gain=gains.layers,
        global_gain=gains.shared_out,
        composition=gains.composition,
        global_suggestions=overall,
        rank_plans=_plans(spectra, ranks, policy),
        other_tensors=_count_others(contents, lambda _: 1),
        other_params=_count_others(contents, lambda tensor: tensor.size),
        training_metadata=contents.training_metadata,
        null_baseline=_null_summary(trained, policy),
        findings=found,
        issues=tuple(f.message for f in found if f.severity.at_least(Severity.WARNING)),
    )
    report = _with_intruders(_with_udr(report, trained), trained)
    return with_sections(report, modules, ranks, spectra, policy)


def _with_udr(report: AuditReport, trained: Sequence[LayerRow]) -> AuditReport:
    udr = [row.udr for row in trained if row.udr is not None]
    sdi = [row.sdi for row in trained if row.sdi is not None]
    if not udr:
        return report
    return msgspec.structs.replace(
        report,
        udr_mean=mean_known(udr),
        udr_median=quantile(udr, 0.5),
        udr_p90=quantile(udr, 0.9),
        udr_max=max(udr),
        fraction_udr_gt_0_1=sum(ratio > UDR_NOTICEABLE for ratio in udr) / len(udr),
        fraction_udr_gt_0_3=sum(ratio > UDR_LARGE for ratio in udr) / len(udr),
        n_layers_with_udr=len(udr),
        sdi_mean=mean_known(sdi),
        sdi_median=quantile(sdi, 0.5),
        sdi_p90=quantile(sdi, 0.9),
    )


def _with_intruders(report: AuditReport, trained: Sequence[LayerRow]) -> AuditReport:
    found = [row.intruders for row in trained if row.intruders is not None]
    known = [result.n_intruders for result in found if result.n_intruders is not None]
    if not known:
        return report
    return msgspec.structs.replace(
        report,
        intruders_total=sum(known),
        intruders_undecided=sum(result.n_undecided or 0 for result in found),
        n_layers_with_intruders=sum(count > 0 for count in known),
    )


def _null_summary(trained: Sequence[LayerRow], policy: AuditPolicy) -> NullSummary | None:
    rows = [row for row in trained if row.stable_rank_null is not None]
    if not rows:
        return None

    def mean(name: str) -> float:
        return mean_known([getattr(row, name) for row in rows]) or 0.0

    return NullSummary(
        method=NULL_METHOD,
        stable_rank_mean=mean("stable_rank_null"),
        effective_rank_mean=mean("effective_rank_null"),
        utilization_mean=mean("utilization_null"),
        energy_rank_90_mean=mean("energy_rank_90_null"),
        utilization_vs_null_mean=mean("utilization_vs_null"),
        n_like_noise=sum(like_noise(row, policy.findings) for row in rows),
        noise_z=policy.findings.noise_z,
    )


def _plans(
    spectra: Sequence[ModuleSpectrum], ranks: Sequence[ModuleRank], policy: AuditPolicy
) -> RankPlans:
    wanted = {rank.name: rank.energy_rank_90 for rank in ranks if rank.energy_rank_90 is not None}
    return rank_plans(spectra, wanted, policy.plans)


class _Gains(NamedTuple):
    """Where the sizes of the updates lie."""

    overall: Gain
    modules: tuple[ModuleGain, ...]
    layers: tuple[LayerGain, ...]
    shared_out: GlobalGain
    composition: Composition


def _gains(trained: Sequence[LayerRow], policy: ConcentrationPolicy) -> _Gains:
    modules = tuple(_gain(row) for row in trained)
    layers = layer_gains(modules)
    shares = composition(layers, policy)
    overall = gain_summary(modules, layers, shares, policy)
    return _Gains(overall, modules, layers, global_gain(modules, shares, policy), shares)


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
        stable_rank_null_mean=mean_known([row.stable_rank_null for row in rows]),
        **_rank_evidence(rows),
    )


def _rank_evidence(rows: Sequence[LayerRow]) -> dict[str, float | None]:
    energy_ranks = [row.energy_rank_90 for row in rows]
    return {
        "stable_rank_mean": mean_known([row.stable_rank for row in rows]),
        "utilization_mean": mean_known([row.utilization for row in rows]),
        "energy_rank_90_p50": quantile(energy_ranks, 0.5),
        "energy_rank_90_p90": quantile(energy_ranks, 0.9),
    }


def _weighted_stable_rank(rows: Sequence[LayerRow]) -> float | None:
    pairs = [(row.stable_rank, row.params) for row in rows if row.stable_rank is not None]
    total = sum(params for _, params in pairs)
    return sum(rank * params for rank, params in pairs) / total if total else None


def _count_others(
    contents: AdapterContents, amount: Callable[[TensorInfo], int]
) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for tensor, kind in contents.others:
        counts[kind.value] = counts.get(kind.value, 0) + amount(tensor)
    return counts
