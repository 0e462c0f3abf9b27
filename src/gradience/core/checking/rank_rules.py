"""Rules on rank, alpha and the scaling that follows from them."""

import math

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.readings import written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.numbers import real_number
from gradience.core.severity import Severity


def _missing(subject: Subject, _: CheckPolicy) -> Verdict | None:
    rank = subject.config.lora.r
    if rank is None:
        return Verdict(Severity.INFO, "no rank is given, so it was not checked")
    if rank >= 1:
        return None
    return Verdict(
        Severity.ERROR, f"rank {written(rank)} is no rank: it must be at least 1", {"r": rank}
    )


def _high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank = subject.max_rank
    if rank is None or rank <= policy.rank_high:
        return None
    return Verdict(
        Severity.WARNING,
        f"rank {written(rank)} is above the ranks that published recommendations name (up to "
        f"{policy.rank_high})",
        {"r": rank, "rank_high": policy.rank_high},
    )


def _scaling_high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    ratios = [
        (alpha / rank, rank)
        for rank, alpha in subject.module_ratios
        if rank >= policy.scaling_rank_floor and math.isfinite(alpha)
    ]
    ratio, rank = max(ratios, default=(0.0, 0.0))
    if ratio <= policy.scaling_high:
        return None
    scaling = ratio * math.sqrt(rank) if subject.uses_rslora else ratio
    how = f"α/√r, rsLoRA, with α/r = {ratio:g}" if subject.uses_rslora else "α/r"
    limit = "" if subject.uses_rslora else f", more than {policy.scaling_high:g}"
    lr = real_number(subject.config.optimizer.lr)
    mild = lr is not None and 0 < lr * scaling / policy.scaling_usual <= policy.lr_start
    low = f", at a learning rate of {lr:g} that is low in proportion" if mild else ""
    return Verdict(
        Severity.INFO if mild else Severity.WARNING,
        f"the update is scaled by {scaling:g} ({how}){limit}{low}",
        {"scaling": scaling, "use_rslora": subject.uses_rslora, "r": rank},
    )


def _rslora(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank, alpha, scaling = subject.rank, subject.alpha, subject.scaling
    if not subject.uses_rslora or rank is None or alpha is None or scaling is None:
        return None
    ratio = alpha / rank
    if not policy.rslora_ratio <= ratio <= policy.scaling_high:
        return None
    lr = real_number(subject.config.optimizer.lr)
    effective = None if lr is None else lr * scaling / policy.scaling_usual
    strong = effective is not None and effective > policy.lr_high
    like = f", at learning rate {lr:g} like {effective:g} at α = 2r without it" if strong else ""
    return Verdict(
        Severity.WARNING if strong else Severity.INFO,
        f"under rsLoRA α = {written(alpha)} at rank {written(rank)} means s = {scaling:g}{like}; "
        "α = 2r is advice for s = α/r",
        {"scaling": scaling, "alpha": alpha, "r": rank},
    )


def _unmeasured(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank = subject.max_rank
    exempt = subject.objective == "pretrain" or subject.easy_task or subject.is_probe
    if rank is None or exempt:
        return None
    if not policy.rank_studied < rank <= policy.rank_high:
        return None
    return Verdict(
        Severity.INFO,
        f"rank {written(rank)}: a short run at it, audited (gradience audit), tells how much of it "
        f"is used; quality did not depend on the rank from 8 to {policy.rank_studied}",
        {"r": rank, "rank_studied": policy.rank_studied},
    )


def _easy(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank = subject.max_rank
    if rank is None or not subject.easy_task or subject.is_probe:
        return None
    if not policy.rank_easy < rank <= policy.rank_high:
        return None
    return Verdict(
        Severity.INFO,
        f"rank {written(rank)} for an easy classification, where rank 1 did as well as 64 on MNLI",
        {"r": rank, "rank_easy": policy.rank_easy},
    )


def _spread(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    scalings = [value for value in subject.scalings if math.isfinite(value) and value > 0]
    if not scalings or max(scalings) < policy.scaling_spread * min(scalings):
        return None
    low, high = min(scalings), max(scalings)
    return Verdict(
        Severity.INFO,
        f"modules are scaled differently, s from {low:.3g} to {high:.3g}: rank_pattern and "
        "alpha_pattern are matched apart, so a rank without its alpha changes s",
        {"scaling_min": low, "scaling_max": high},
    )


RULES = (
    Rule(
        code="GR300",
        name="rank-missing",
        summary="No rank is given, or one below 1.",
        severity=Severity.ERROR,
        action="set_rank",
        scope="lora.r",
        rationale="The rank is what the adapter's parameters are paid for.",
        source="LoRA (arXiv 2106.09685)",
        confidence=1.0,
        refuted_by="Nothing to refute: a value is missing or impossible.",
        judge=_missing,
        speaks="lora: {r: 0}",
        silent="lora: {r: 1}",
        lora_only=True,
    ),
    Rule(
        code="GR301",
        name="rank-high",
        summary="A rank above those that published recommendations name.",
        severity=Severity.WARNING,
        action="consider_reduce_rank",
        scope="lora.r",
        rationale="Quality did not depend on the rank between 8 and 64 when all layers were "
        "adapted; for code and for large data sets up to 256 is recommended.",
        source="QLoRA (arXiv 2305.14314); Biderman et al. 2024 (arXiv 2405.09673); the table of "
        "TRL's guide LoRA Without Regret",
        confidence=0.5,
        refuted_by="A run at a quarter of this rank, same seeds: its eval loss is worse.",
        judge=_high,
        speaks="lora: {r: 8, extras: {rank_pattern: {q_proj: 512}}}",
        silent="lora: {r: 256}",
        thresholds=("rank_high",),
        lora_only=True,
    ),
    Rule(
        code="GR302",
        name="scaling-high",
        summary="The update's scaling is far above α = 2r.",
        severity=Severity.WARNING,
        action="consider_lower_alpha_over_r",
        scope="lora.alpha",
        rationale="The scaling multiplies the learning rate's effect: a remark where the rate is "
        "low in proportion, as in mlx-lm's defaults. Per module, patterns included.",
        source="Biderman et al. 2024 (arXiv 2405.09673): α = 2r; rsLoRA (arXiv 2312.03732); that "
        "scaling and rate multiply is inferred from Adam's steps",
        confidence=0.5,
        refuted_by="A run at half the alpha, same seed and rate: its eval loss is no better and "
        "its gradient norms are no calmer.",
        judge=_scaling_high,
        speaks="lora: {r: 16, alpha: 65}",
        silent="lora: {r: 16, alpha: 64}",
        thresholds=("scaling_high", "scaling_rank_floor", "scaling_usual", "lr_start"),
        lora_only=True,
    ),
    Rule(
        code="GR303",
        name="rslora-with-doubled-alpha",
        summary="rsLoRA together with the α = 2r that is meant for plain LoRA.",
        severity=Severity.WARNING,
        action="consider_lower_alpha_over_r",
        scope="lora.alpha",
        rationale="rsLoRA divides by √r, so α = 2r gives s = 2√r; PEFT's comparison uses α = r. "
        "A warning only where rate and scaling together go beyond published sweeps.",
        source="rsLoRA (arXiv 2312.03732) for s; that α = 2r is too much there, and that scaling "
        "and rate multiply, is inferred",
        confidence=0.5,
        refuted_by="A run with α = r, same seed and rate: its eval loss is no better.",
        judge=_rslora,
        speaks="lora: {r: 32, alpha: 64, extras: {use_rslora: true}}",
        silent="lora: {r: 64, alpha: 64, extras: {use_rslora: true}}",
        thresholds=("rslora_ratio", "scaling_high", "scaling_usual", "lr_high"),
        lora_only=True,
    ),
    Rule(
        code="GR304",
        name="scaling-differs",
        summary="Patterns give modules very different scalings.",
        severity=Severity.INFO,
        action="review_alpha_pattern",
        scope="lora.alpha_pattern",
        rationale="A module whose rank is raised by rank_pattern keeps the default alpha, and is "
        "scaled down by it.",
        source="huggingface/peft#2194 and #2195; the edge is inferred",
        confidence=0.4,
        refuted_by="A run with an alpha_pattern that keeps α/r: its eval loss is no better.",
        judge=_spread,
        speaks="lora: {r: 4, alpha: 4, extras: {rank_pattern: {q_proj: 16}}}",
        silent="lora: {r: 4, alpha: 4, extras: {rank_pattern: {q: 16}, alpha_pattern: {q: 16}}}",
        thresholds=("scaling_spread",),
        lora_only=True,
    ),
    Rule(
        code="GR305",
        name="rank-unmeasured",
        summary="A rank above those whose effect was studied, and not known to be needed.",
        severity=Severity.INFO,
        action="calibration_probe",
        scope="lora.r",
        rationale="Large ranks paid off for code and large data sets. Whether this data set needs "
        "one is a measurement: train briefly, audit, and see the energy rank.",
        source="QLoRA (arXiv 2305.14314): ranks 8 to 64; Biderman et al. 2024 (arXiv 2405.09673): "
        "256 for code. That a short probe tells is inferred",
        confidence=0.3,
        refuted_by="The audited energy rank of the finished run, compared with the probe's: they "
        "differ.",
        judge=_unmeasured,
        speaks="lora: {r: 128}",
        silent="lora: {r: 64}",
        thresholds=("rank_studied", "rank_high"),
        lora_only=True,
    ),
    Rule(
        code="GR306",
        name="rank-of-easy-task",
        summary="A large rank for an easy classification.",
        severity=Severity.INFO,
        action="reduce_rank_for_efficiency",
        scope="lora.r",
        rationale="The rank costs memory and serving, and easy tasks did not use it.",
        source="LoRA (arXiv 2106.09685), Table 6: on MNLI rank 1 gives 91.3 and rank 64 91.4; the "
        "edge is inferred",
        confidence=0.4,
        refuted_by="A run at rank 8, same seeds: its held-out accuracy is worse.",
        judge=_easy,
        speaks="{task_profile: easy_classification, lora: {r: 32}}",
        silent="{task_profile: easy_classification, lora: {r: 16}}",
        thresholds=("rank_easy", "rank_high"),
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
