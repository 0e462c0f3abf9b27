"""A rule as data: what it looks at, what it says, where it comes from, what would refute it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import attrs

from gradience.core.adapter.peft_methods import LORA
from gradience.core.adapter.scaling import lora_scaling
from gradience.core.config.readers import with_ratio
from gradience.core.config.snapshot import ConfigSnapshot, TaskProfile
from gradience.core.severity import Severity
from gradience.core.telemetry.events import Recommendation


@attrs.frozen(kw_only=True)
class CheckPolicy:
    """Every threshold of the configuration rules, each with its source."""

    lr_low: float = 2e-5
    """LoRA's rate is about ten times that of full fine-tuning (TRL's guide "LoRA Without Regret":
    2e-5 → 2e-4, after Thinking Machines 2025); the edge itself is inferred."""
    framework_rates: tuple[tuple[float, str], ...] = (
        (2e-5, "TRL's SFTConfig"),
        (5e-5, "Hugging Face's TrainingArguments"),
    )
    """Default rates of frameworks and whose they are (their sources); chosen for full
    fine-tuning, and what a run trains with where nobody thought of the rate."""
    lr_high: float = 5e-4
    """Upper end of the best rates in Biderman et al. 2024 (arXiv 2405.09673), 5e-5 to 5e-4."""
    lr_extreme: float = 1e-2
    """Twenty times the upper end; no published LoRA recipe comes near (inferred)."""
    weight_decay_high: float = 0.1
    """Above it weight decay can suppress LoRA (Axolotl's stability guide)."""
    rank_high: int = 256
    """Largest rank that published recommendations name (Biderman et al. 2024; TRL's table)."""
    scaling_high: float = 4.0
    """Twice the α = 2r of Biderman et al. 2024; the edge is inferred."""
    scaling_rank_floor: int = 8
    """Below it a large α/r is usual: TRL reproduces RL on maths with r = 1 and α = 32."""


@attrs.frozen(kw_only=True)
class Subject:
    """A configuration as the rules see it: effective values beside the written ones."""

    config: ConfigSnapshot
    scaling: float | None
    """s of ΔW = s·B·A, rsLoRA respected; None where rank or alpha is unknown."""
    targets: tuple[str, ...] | None
    """Target modules as a tuple; None where they are unknown or a regular expression."""

    @property
    def other_adapter(self) -> str | None:
        """The adapter's ``peft_type`` where that is not LoRA: LoRA's rules do not hold for it."""
        kind = self.config.extras.get("peft_type")
        return kind if isinstance(kind, str) and kind.upper() != LORA else None

    @property
    def has_adapter(self) -> bool:
        """Whether anything at all is known of the adapter."""
        lora = self.config.lora
        return lora.r is not None or lora.target_modules is not None

    @property
    def uses_rslora(self) -> bool:
        """Whether the rank-stabilised scaling is on."""
        return bool(self.config.lora.extras.get("use_rslora"))

    @property
    def easy_task(self) -> bool:
        """Whether the task profile says that the task is an easy one."""
        return self.config.task_profile is TaskProfile.EASY_CLASSIFICATION


class Verdict(NamedTuple):
    """What a rule says of one configuration."""

    severity: Severity
    message: str
    evidence: Mapping[str, object] = {}


@attrs.frozen(kw_only=True)
class Rule:
    """One rule; ``judge`` is a pure function that gives None where there is nothing to say."""

    code: str
    """Stable, such as ``GR101``: the first digit is the family."""
    action: str
    """The word of the contract's vocabulary."""
    scope: str
    """The part of the configuration that it concerns."""
    rationale: str
    source: str
    confidence: float
    """0 to 1: how well the evidence carries the advice."""
    refuted_by: str
    """The experiment that would show it wrong."""
    judge: Callable[[Subject, CheckPolicy], Verdict | None]
    lora_only: bool = False
    """Whether it is about LoRA, and silent for an adapter of another type."""


def subject_of(config: ConfigSnapshot) -> Subject:
    """Works out the effective values of a configuration."""
    lora = with_ratio(config).lora
    scaling = None
    if lora.r is not None and lora.r >= 1 and lora.alpha is not None:
        rslora = bool(lora.extras.get("use_rslora"))
        scaling = lora_scaling(lora.alpha, lora.r, use_rslora=rslora)
    targets = lora.target_modules
    return Subject(
        config=config,
        scaling=scaling,
        targets=targets if isinstance(targets, tuple) else None,
    )


def apply_rule(rule: Rule, subject: Subject, policy: CheckPolicy) -> Recommendation | None:
    """The rule's recommendation for a configuration, or None."""
    if rule.lora_only and subject.other_adapter is not None:
        return None
    verdict = rule.judge(subject, policy)
    if verdict is None:
        return None
    return Recommendation(
        severity=verdict.severity,
        action=rule.action,
        message=verdict.message,
        rationale=rule.rationale,
        confidence=rule.confidence,
        scope=rule.scope,
        evidence={"rule": rule.code, "source": rule.source, **verdict.evidence},
        refuted_by=rule.refuted_by,
    )
