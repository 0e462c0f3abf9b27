"""Rules on target modules, rank and scaling."""

import math

from gradience.core.adapter.module_names import ModuleType, module_type
from gradience.core.checking.rule import CheckPolicy, Rule, Subject, Verdict
from gradience.core.config.snapshot import TaskProfile
from gradience.core.severity import Severity


def _targets_missing(subject: Subject, _: CheckPolicy) -> Verdict | None:
    targets = subject.config.lora.target_modules
    if targets:
        return None
    if targets is not None:
        return Verdict(Severity.WARNING, "target_modules is empty: nothing would be adapted")
    return Verdict(Severity.INFO, "no target modules are given, so they were not checked")


def attention_only(subject: Subject) -> bool:
    """Whether every target module is an attention projection."""
    return bool(subject.targets) and all(
        module_type(name) is ModuleType.ATTENTION for name in subject.targets or ()
    )


def _attention_only(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if not attention_only(subject):
        return None
    targets = sorted(subject.targets or ())
    if subject.easy_task:
        return Verdict(
            Severity.INFO,
            "only attention is adapted; the evidence against that is from harder tasks",
            {"target_modules": targets},
        )
    return Verdict(
        Severity.WARNING,
        f"only attention is adapted ({', '.join(targets)}); adapting all linear layers has done "
        "better at equal parameters, on reasoning tasks too",
        {"target_modules": targets},
    )


def _profile_unknown(subject: Subject, _: CheckPolicy) -> Verdict | None:
    unknown = subject.config.task_profile is TaskProfile.UNKNOWN
    if not unknown or not attention_only(subject):
        return None
    return Verdict(
        Severity.INFO,
        "the task profile is unknown; for an easy task the advice on targets is weaker",
    )


def _rank_missing(subject: Subject, _: CheckPolicy) -> Verdict | None:
    rank = subject.config.lora.r
    if rank is None:
        return Verdict(Severity.INFO, "no rank is given, so it was not checked")
    if rank >= 1:
        return None
    return Verdict(Severity.ERROR, f"rank {rank} is no rank: it must be at least 1", {"r": rank})


def _rank_high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank = subject.config.lora.r
    if rank is None or rank <= policy.rank_high:
        return None
    return Verdict(
        Severity.WARNING,
        f"rank {rank} is above the ranks that published recommendations name (up to "
        f"{policy.rank_high})",
        {"r": rank, "rank_high": policy.rank_high},
    )


def _scaling_high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    rank, scaling = subject.config.lora.r, subject.scaling
    if rank is None or scaling is None or rank < policy.scaling_rank_floor:
        return None
    if not math.isfinite(scaling) or scaling <= policy.scaling_high:
        return None
    how = "α/√r, rsLoRA" if subject.uses_rslora else "α/r"
    return Verdict(
        Severity.WARNING,
        f"the update is scaled by {scaling:g} ({how}), more than {policy.scaling_high:g}",
        {"scaling": scaling, "use_rslora": subject.uses_rslora, "r": rank},
    )


RULES = (
    Rule(
        code="GR200",
        action="set_target_modules",
        scope="lora.target_modules",
        rationale="Without target modules PEFT falls back to a default per architecture.",
        source="The PEFT package's LoraConfig, 0.21",
        confidence=1.0,
        refuted_by="Nothing to refute: a value is missing.",
        judge=_targets_missing,
        lora_only=True,
    ),
    Rule(
        code="GR201",
        action="review_target_modules",
        scope="lora.target_modules",
        rationale="Attention-only at rank 256 is reported to have done worse than MLP-only at rank "
        "128, with about the same number of parameters (0.25 and 0.24 billion), and LoRA on all "
        "linear blocks was needed to match full fine-tuning.",
        source="Biderman et al. 2024 (arXiv 2405.09673); QLoRA (arXiv 2305.14314); Thinking "
        "Machines 2025, as reported in TRL's guide LoRA Without Regret (its ranks and parameter "
        "counts in a secondary copy)",
        confidence=0.7,
        refuted_by='A run with target_modules="all-linear" at the rank that gives the same number '
        "of parameters, same seeds: its eval loss is no better.",
        judge=_attention_only,
        lora_only=True,
    ),
    Rule(
        code="GR202",
        action="set_task_profile",
        scope="task_profile",
        rationale="How strong the advice on target modules is depends on the task.",
        source="inferred from LoRA (arXiv 2106.09685), whose experiments adapt attention alone, "
        "MNLI among them; it does not compare that with MLP layers",
        confidence=0.5,
        refuted_by="Nothing to refute: a value is missing.",
        judge=_profile_unknown,
        lora_only=True,
    ),
    Rule(
        code="GR300",
        action="set_rank",
        scope="lora.r",
        rationale="The rank is what the adapter's parameters are paid for.",
        source="LoRA (arXiv 2106.09685)",
        confidence=1.0,
        refuted_by="Nothing to refute: a value is missing or impossible.",
        judge=_rank_missing,
        lora_only=True,
    ),
    Rule(
        code="GR301",
        action="consider_reduce_rank",
        scope="lora.r",
        rationale="Quality did not depend on the rank between 8 and 64 when all layers were "
        "adapted; for code and for large data sets up to 256 is recommended.",
        source="QLoRA (arXiv 2305.14314); Biderman et al. 2024 (arXiv 2405.09673); the table of "
        "TRL's guide LoRA Without Regret",
        confidence=0.5,
        refuted_by="A run at a quarter of this rank, same seeds: its eval loss is worse.",
        judge=_rank_high,
        lora_only=True,
    ),
    Rule(
        code="GR302",
        action="consider_lower_alpha_over_r",
        scope="lora.alpha",
        rationale="The scaling multiplies the learning rate's effect; α = 2r under rsLoRA means "
        "2√r.",
        source="Biderman et al. 2024 (arXiv 2405.09673): α = 2r; rsLoRA (arXiv 2312.03732)",
        confidence=0.5,
        refuted_by="A run at half the alpha, same seed and rate: its eval loss is no better and "
        "its gradient norms are no calmer.",
        judge=_scaling_high,
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
