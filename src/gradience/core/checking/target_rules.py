"""Rules on which modules are adapted."""

from gradience.core.adapter.module_names import ModuleType
from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.readings import names
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.config.snapshot import TaskProfile
from gradience.core.severity import Severity

_HEADS = frozenset({"classifier", "score", "lm_head", "embed_out", "embed_tokens", "wte"})
"""Last components of the names of heads and embeddings."""

_SHOWN = 8
"""Names that a message lists."""

_STUDIES = (
    "Biderman et al. 2024 (arXiv 2405.09673); QLoRA (arXiv 2305.14314); Thinking "
    "Machines 2025, as reported in TRL's guide LoRA Without Regret (its ranks and parameter "
    "counts in a secondary copy)"
)


def _missing(subject: Subject, _: CheckPolicy) -> Verdict | None:
    targets = subject.config.lora.target_modules
    if targets or names(subject.config.lora.extras, "target_parameters"):
        return None
    if targets is not None:
        return Verdict(Severity.WARNING, "target_modules is empty: nothing would be adapted")
    return Verdict(Severity.INFO, "no target modules are given, so they were not checked")


def _leaves(adapted: tuple[str, ...]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in adapted})


def _listed(adapted: tuple[str, ...]) -> str:
    shown = _leaves(adapted)
    return ", ".join(shown[:_SHOWN]) + (" …" if len(shown) > _SHOWN else "")


def _attention_only(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if not subject.attention_only:
        return None
    evidence = {"target_modules": _leaves(subject.adapted_names)}
    if subject.easy_task:
        return Verdict(
            Severity.INFO,
            "only attention is adapted; the evidence against that is from harder tasks",
            evidence,
        )
    return Verdict(
        Severity.WARNING,
        f"only attention is adapted ({_listed(subject.adapted_names)}); adapting all linear layers "
        "has done better at equal parameters, on reasoning tasks too",
        evidence,
    )


def _profile_unknown(subject: Subject, _: CheckPolicy) -> Verdict | None:
    unknown = subject.config.task_profile is TaskProfile.UNKNOWN
    if not unknown or subject.easy_task or not subject.attention_only:
        return None
    return Verdict(
        Severity.INFO,
        "the task profile is unknown; for an easy task the advice on targets is weaker",
    )


def _head_only(subject: Subject, _: CheckPolicy) -> Verdict | None:
    adapted = subject.adapted_names
    leaves = {name.rpartition(".")[2] for name in adapted}
    if not leaves or subject.adapted_types != {ModuleType.OTHER} or not leaves <= _HEADS:
        return None
    return Verdict(
        Severity.WARNING,
        f"only a head or an embedding is adapted ({_listed(adapted)}): no layer of the transformer "
        "learns anything",
        {"target_modules": sorted(leaves)},
    )


RULES = (
    Rule(
        code="GR200",
        name="targets-missing",
        summary="No target modules are given.",
        severity=Severity.WARNING,
        action="set_target_modules",
        scope="lora.target_modules",
        rationale="Without target modules PEFT falls back to a default per architecture.",
        source="The PEFT package's LoraConfig, 0.21",
        confidence=1.0,
        refuted_by="Nothing to refute: a value is missing.",
        judge=_missing,
        speaks="lora: {target_modules: []}",
        silent="lora: {target_modules: all-linear}",
        lora_only=True,
    ),
    Rule(
        code="GR201",
        name="attention-only",
        summary="Only attention projections are adapted.",
        severity=Severity.WARNING,
        action="review_target_modules",
        scope="lora.target_modules",
        rationale="Attention-only at rank 256 is reported to have done worse than MLP-only at rank "
        "128, with about the same number of parameters (0.25 and 0.24 billion), and LoRA on all "
        "linear blocks was needed to match full fine-tuning. Reasoning is no exception: TRL "
        "reproduces RL on maths with all linear layers at rank 1.",
        source=_STUDIES,
        confidence=0.7,
        refuted_by='A run with target_modules="all-linear" at the rank that gives the same number '
        "of parameters, same seeds: its eval loss is no better.",
        judge=_attention_only,
        speaks="{task_profile: generation, lora: {target_modules: [q_proj, v_proj]}}",
        silent="{task_profile: generation, lora: {target_modules: [q_proj, up_proj]}}",
        lora_only=True,
    ),
    Rule(
        code="GR202",
        name="task-profile-unknown",
        summary="Only attention is adapted and the task is unknown.",
        severity=Severity.INFO,
        action="set_task_profile",
        scope="task_profile",
        rationale="How strong the advice on target modules is depends on the task.",
        source="inferred from LoRA (arXiv 2106.09685), whose experiments adapt attention alone, "
        "MNLI among them; it does not compare that with MLP layers",
        confidence=0.5,
        refuted_by="Nothing to refute: a value is missing.",
        judge=_profile_unknown,
        speaks="lora: {target_modules: [q_proj, v_proj]}",
        silent="{task_profile: generation, lora: {target_modules: [q_proj, v_proj]}}",
        lora_only=True,
    ),
    Rule(
        code="GR203",
        name="head-only",
        summary="Only a head or an embedding is adapted, no layer of the transformer.",
        severity=Severity.WARNING,
        action="include_attention_targets",
        scope="lora.target_modules",
        rationale="A low-rank update of the last layer moves none of the representations that "
        "adaptation changes; a head is usually trained in full, in modules_to_save. MLP layers "
        "alone are left unremarked: attention is reported to have added nothing over them.",
        source=_STUDIES,
        confidence=0.6,
        refuted_by='A run with target_modules="all-linear", same seeds: its eval loss is no '
        "better.",
        judge=_head_only,
        speaks="lora: {target_modules: classifier}",
        silent="lora: {target_modules: [classifier, q_lin]}",
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
