"""Advice from the audit of the run's adapter: what of the rank that was paid for is used."""

from collections.abc import Iterator, Mapping

from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import RunSignals
from gradience.core.telemetry.events import Recommendation

PEFT_CONVERSION = (
    "the PEFT package's documentation of LoRA conversion: Llama-3.2-3B, MetaMathQA to GSM8K, "
    "energy 0.9 costs 1.37 points"
)


def audit_advice(signals: RunSignals, policy: MonitorPolicy) -> Iterator[Recommendation]:
    """What the latest audit on record suggests.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        ``compress_rank`` where a much smaller rank keeps 90 % of the energy, else
        ``low_utilization`` where the modules use little of what noise of their shape would;
        ``compress_mlp_targets`` where that is so of the MLP modules alone. Nothing without an
        audit of at least one module.
    """
    audit = signals.records.lora_audit or {}
    config = signals.run.config
    rank = config.lora.r if config else None
    if not audit.get("n_layers"):
        return
    compressed = tuple(_compress(audit, rank, policy))
    yield from compressed or _low_utilization(audit, policy)
    yield from _compress_mlp(audit, policy)


def _compress(
    audit: Mapping[str, object], rank: int | None, policy: MonitorPolicy
) -> Iterator[Recommendation]:
    suggested = audit.get("suggested_r_global_90")
    if rank is None or not isinstance(suggested, int):
        return
    if suggested < 1 or suggested * policy.compress_factor > rank:
        return
    yield Recommendation(
        severity=Severity.INFO,
        action="compress_rank",
        message=f"rank {suggested} keeps 90 % of the energy of nine modules in ten; {rank} is paid "
        "for",
        rationale="Energy that a module does not use can be cut; at 90 % expect about 1 to 1.5 "
        "points on maths (the PEFT package's LoRA conversion figures).",
        confidence=policy.compress_confidence,
        scope="lora.r",
        evidence={
            "r": rank,
            "suggested_r_global_90": suggested,
            "energy": "PEFT: share of Σσ²",
            "source": PEFT_CONVERSION,
        },
        refuted_by=f"Adapters truncated to and retrained at rank {suggested}, three seeds: their "
        "held-out metric is worse by more than you accept.",
    )


def _low_utilization(
    audit: Mapping[str, object], policy: MonitorPolicy
) -> Iterator[Recommendation]:
    share = real_number(_part(audit, "null_baseline").get("utilization_vs_null_mean"))
    if share is None or not share < policy.low_utilization:
        return
    yield Recommendation(
        severity=Severity.INFO,
        action="low_utilization",
        message=f"the updates' stable rank is {100 * share:.0f} % of that of noise of the same "
        "shape: few directions carry them",
        rationale="A stable rank far below that of a random update is structure, and room in the "
        "rank that is paid for.",
        confidence=policy.low_utilization_confidence,
        scope="lora.r",
        evidence={
            "utilization_vs_null_mean": share,
            "low_utilization": policy.low_utilization,
            "source": "inferred: parallel analysis against a random B·A; no published result on "
            "LoRA's accuracy is known",
        },
        refuted_by="An adapter trained at half the rank, three seeds: its held-out metric is worse "
        "by more than you accept.",
    )


def _compress_mlp(audit: Mapping[str, object], policy: MonitorPolicy) -> Iterator[Recommendation]:
    by_type = _part(audit, "by_type")
    attention, mlp = _part(by_type, "attn"), _part(by_type, "mlp")
    used, needed = (real_number(part.get("energy_rank_90_p90")) for part in (mlp, attention))
    if not used or not needed or used * policy.compress_factor > needed:
        return
    yield Recommendation(
        severity=Severity.INFO,
        action="compress_mlp_targets",
        message=f"nine MLP modules in ten keep 90 % of their energy in {used:g} directions, "
        f"attention in {needed:g}: a smaller rank for the MLP modules (rank_pattern)",
        rationale="With all linear layers adapted most parameters are the MLP modules'.",
        confidence=policy.compress_confidence,
        scope="lora.rank_pattern",
        evidence={
            "mlp_energy_rank_90_p90": used,
            "attn_energy_rank_90_p90": needed,
            "source": PEFT_CONVERSION,
        },
        refuted_by="Adapters with the smaller rank on the MLP modules, and with it dealt to the "
        "attention modules instead, three seeds: the first are no better.",
    )


def _part(value: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = value.get(key)
    return part if isinstance(part, Mapping) else {}
