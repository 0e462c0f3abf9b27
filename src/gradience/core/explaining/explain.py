"""Everything that an audit tells of one module, and the experiment that would refute it."""

import math
from collections.abc import Mapping

import attrs

from gradience.core.adapter.module_names import module_type
from gradience.core.explaining.audit_evidence import AuditEvidence, AuditRow, audit_evidence
from gradience.core.explaining.named_module import NamePolicy, find_module
from gradience.core.explaining.report import (
    Disagreement,
    Importance,
    LayerExplanation,
    LayerRank,
    NullFacts,
    PolicyReading,
    SpectrumFacts,
)
from gradience.core.ranks.criteria import RANK_ROUNDING
from gradience.core.ranks.disagreement import DisagreementPolicy, ModulePolicies, policy_table
from gradience.core.ranks.policy_meanings import disagreement_reasons, policy_meaning
from gradience.core.ranks.suggest import SuggestionPolicy, pattern_for, snap_up

NO_ROW = "no layer row: audit with --layers"
NO_POLICIES = "no rank policies: audit with --rank-policies all"
NO_NULL = "no comparison with a random update: audit again with this version"
"""What an audit may lack, with the remedy."""

IMPORTANCE_WORDS: Mapping[str, str] = {
    "energy_share": "the adapter's update energy",
    "params_share": "the adapter's parameters",
}
"""What a share of importance is a share of."""


@attrs.frozen(kw_only=True)
class ExplainPolicy:
    """How an explanation reads its numbers."""

    notable_z: float = 2.0
    """Null standard deviations from which on a module stands out: about 95% of random updates
    lie within (the normal distribution)."""
    names: NamePolicy = NamePolicy()
    suggestion: SuggestionPolicy = SuggestionPolicy()
    disagreement: DisagreementPolicy = DisagreementPolicy()


def explain_layer(
    audit: Mapping[str, object], layer: str, policy: ExplainPolicy | None = None
) -> LayerExplanation:
    """Explains one module from an audit's JSON.

    Args:
        audit: This version's report or a file of the original tool
            (:func:`gradience.core.explaining.audit_evidence.audit_evidence`).
        layer: The module's full name, with or without PEFT's prefix, or an ending of it, from a
            dot on, that no other module has.
        policy: Thresholds.

    Returns:
        The explanation. Where the file has no rank policies, those that the row's quantities give
        stand in (energy, stable rank, effective rank).

    Raises:
        ConfigError: The file tells nothing of single modules or does not read, or ``layer`` names
            none or several.
    """
    policy = policy or ExplainPolicy()
    evidence = audit_evidence(audit)
    name = find_module(evidence.names, layer, policy.names)
    row, verdict = evidence.rows.get(name), evidence.verdicts.get(name)
    source = "the audit's rank policies"
    if verdict is None:
        verdict, source = _from_rows(evidence, policy).get(name), "the row's quantities"
    suggestion = _suggestion(evidence, name, policy)
    return LayerExplanation(
        name=name,
        module_type=module_type(name).value,
        status=row.status if row else None,
        r=row.r if row else None,
        params=row.params if row else None,
        expert=row.expert if row else None,
        spectrum=_spectrum(row) if row else None,
        null=_null(row, policy) if row else None,
        policies=_readings(verdict) if verdict else (),
        policies_source=source if verdict and verdict.k_by_policy else "",
        disagreement=_disagreement(verdict) if verdict else None,
        importance=_importance(verdict, evidence.importance_metric) if verdict else None,
        suggestion=suggestion,
        experiment=_experiment(name, evidence, verdict, suggestion),
        caveats=evidence.caveats,
        missing=_missing(row, has_policies=name in evidence.verdicts),
    )


def _from_rows(evidence: AuditEvidence, policy: ExplainPolicy) -> Mapping[str, ModulePolicies]:
    """The verdicts that the rows' quantities allow: every policy that needs no single value."""
    ranks = {name: _row_ranks(row) for name, row in evidence.rows.items()}
    known = {name: found for name, found in ranks.items() if found}
    importance = {name: _importance_of(evidence.rows[name], policy) for name in known}
    table = policy_table(known, importance, (), policy.disagreement)
    return {module.name: module for module in table.modules}


def _row_ranks(row: AuditRow) -> dict[str, int]:
    found = {
        "energy@0.90": row.energy_rank_90,
        "stable_rank": row.stable_rank,
        "erank": row.effective_rank,
    }
    return {
        label: math.ceil(rank - RANK_ROUNDING)
        for label, rank in found.items()
        if rank is not None and 0 < rank < math.inf
    }


def _importance_of(row: AuditRow, policy: ExplainPolicy) -> float:
    if policy.disagreement.importance_metric == "params_share":
        return float(row.params)
    norm = row.update_norm or 0.0
    return norm * norm


def _spectrum(row: AuditRow) -> SpectrumFacts | None:
    if not row.stable_rank:
        return None
    share = 1 / row.stable_rank
    reading = f"The first of {row.r} directions holds {share:.0%} of Σσ²"
    if row.energy_rank_90 is not None:
        reading += f"; {row.energy_rank_90:g} hold 90%"
    return SpectrumFacts(
        stable_rank=row.stable_rank,
        effective_rank=row.effective_rank,
        utilization=row.utilization,
        energy_rank_90=row.energy_rank_90,
        energy_rank_95=row.energy_rank_95,
        energy_rank_99=row.energy_rank_99,
        delta_sigma_max=row.update_sigma_max,
        delta_fro_norm=row.update_norm,
        udr=row.udr,
        first_share=share,
        reading=reading + ".",
    )


def _null(row: AuditRow, policy: ExplainPolicy) -> NullFacts | None:
    if row.stable_rank_null is None or row.stable_rank is None:
        return None
    return NullFacts(
        stable_rank_null=row.stable_rank_null,
        effective_rank_null=row.effective_rank_null,
        energy_rank_90_null=row.energy_rank_90_null,
        utilization_null=row.utilization_null,
        stable_rank_z=row.stable_rank_z,
        effective_rank_z=row.effective_rank_z,
        utilization_vs_null=row.utilization_vs_null,
        reading=_null_reading(row, policy),
    )


def _null_reading(row: AuditRow, policy: ExplainPolicy) -> str:
    z = row.stable_rank_z
    if z is None:
        return "An update of one direction: a random one looks the same."
    beside = f"stable rank {row.stable_rank:.3g}, {row.stable_rank_null:.3g} for noise (z {z:+.1f})"
    if abs(z) < policy.notable_z:
        return f"Not to be told from a random update of its shape by its stable rank: {beside}."
    if z < 0:
        return f"Fewer directions dominate than in a random update of its shape: {beside}."
    return f"Flatter than a random update of its shape: {beside}."


def _readings(verdict: ModulePolicies) -> tuple[PolicyReading, ...]:
    return tuple(
        PolicyReading(policy=label, k=k, measures=policy_meaning(label))
        for label, k in verdict.k_by_policy.items()
    )


def _disagreement(verdict: ModulePolicies) -> Disagreement:
    return Disagreement(
        spread=verdict.spread,
        spread_threshold=verdict.spread_threshold or None,
        disagree=verdict.disagree,
        why=disagreement_reasons(verdict.k_by_policy),
    )


def _importance(verdict: ModulePolicies, metric: str) -> Importance:
    whole = IMPORTANCE_WORDS.get(metric, metric)
    share = f"{verdict.importance_share:.1%} of {whole}, {verdict.uniform_mult:.2f} x uniform"
    if verdict.flagged:
        reading = f"Flagged: the policies differ by {verdict.spread}, and it holds {share}."
    elif verdict.disagree:
        reasons = "; ".join(verdict.reasons) or "the audit gives no reason"
        reading = (
            f"Not flagged, though the policies differ by {verdict.spread} ({share}): {reasons}."
        )
    else:
        reading = f"Not flagged: the policies differ by {verdict.spread} only ({share})."
    return Importance(
        metric=metric,
        share=verdict.importance_share,
        uniform_mult=verdict.uniform_mult,
        priority_score=verdict.priority_score,
        flagged=verdict.flagged,
        reading=reading,
    )


def _suggestion(evidence: AuditEvidence, name: str, policy: ExplainPolicy) -> LayerRank | None:
    row, suggested = evidence.rows.get(name), evidence.suggestions.get(name)
    current = row.r if row else None
    if suggested is not None:
        return LayerRank(rank=suggested, current=current, source="the audit's suggestion")
    if row is None or not row.energy_rank_90:
        return None
    rank = snap_up(row.energy_rank_90, row.r, policy.suggestion)
    return LayerRank(rank=rank, current=row.r, source="energy@0.90, snapped up to an allowed rank")


def _experiment(
    name: str,
    evidence: AuditEvidence,
    verdict: ModulePolicies | None,
    suggestion: LayerRank | None,
) -> str:
    """What would show the suggestion wrong; without one, what would tell the policies apart."""
    ranks = sorted(set(verdict.k_by_policy.values())) if verdict else []
    if suggestion and (suggestion.current is None or suggestion.rank < suggestion.current):
        pattern = pattern_for({name: suggestion.rank}, evidence.names)
        return (
            f"Truncate {name} alone to rank {suggestion.rank}, leave the other modules as they "
            "are, and evaluate on held-out data: a loss beyond the spread over seeds refutes the "
            f"suggestion. Then train with rank_pattern={pattern}: truncating may score better."
        )
    if suggestion and ranks and ranks[0] < suggestion.rank:
        return (
            f"Rank {suggestion.rank} saves nothing here. Truncate {name} alone to rank {ranks[0]}, "
            "the least that a policy asks for, and evaluate on held-out data: no loss beyond the "
            "spread over seeds refutes that the whole rank is needed."
        )
    if len(ranks) > 1:
        return (
            f"Truncate {name} alone to rank {ranks[0]} and to rank {ranks[-1]}, and evaluate both "
            "on held-out data: no difference beyond the spread over seeds refutes the policies "
            "that ask for more."
        )
    return f"Nothing is suggested for {name} that an experiment could refute."


def _missing(row: AuditRow | None, *, has_policies: bool) -> tuple[str, ...]:
    lacks_null = row is not None and bool(row.stable_rank) and row.stable_rank_null is None
    lacks_policies = not has_policies and (row is None or row.measured)
    lacking = {NO_ROW: row is None, NO_POLICIES: lacks_policies, NO_NULL: lacks_null}
    return tuple(text for text, lacks in lacking.items() if lacks)
