"""A rule as data: what it looks at, what it says, where it comes from, what would refute it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import attrs

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.subject import Subject, subject_of
from gradience.core.severity import Severity
from gradience.core.telemetry.events import Recommendation

__all__ = ["FAMILIES", "CheckPolicy", "Rule", "Subject", "Verdict", "apply_rule", "subject_of"]

FAMILIES: Mapping[str, str] = {
    "1": "learning rate and weight decay",
    "2": "target modules",
    "3": "rank and alpha",
    "4": "stability",
    "5": "precision",
    "6": "data budget",
    "7": "quantisation",
    "8": "serving",
    "9": "integrity of the configuration",
}
"""The first digit of a code → what its rules are about."""


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
    name: str
    """A few words with hyphens, for people."""
    summary: str
    """One line: what it looks for."""
    severity: Severity
    """The highest that it speaks with."""
    action: str
    """The word of the contract's vocabulary, or one like it."""
    scope: str
    """The part of the configuration that it concerns."""
    rationale: str
    source: str
    confidence: float
    """0 to 1: how well the evidence carries the advice."""
    refuted_by: str
    """The experiment that would show it wrong."""
    judge: Callable[[Subject, CheckPolicy], Verdict | None]
    speaks: str
    """A Gradience configuration in YAML on which it speaks. ``model_fit``, beside the keys of a
    configuration, is what ``--model`` would resolve."""
    silent: str
    """A near miss on which it does not."""
    thresholds: tuple[str, ...] = ()
    """The fields of the policy that it reads."""
    lora_only: bool = False
    """Whether it is about LoRA, and silent for another adapter and for full fine-tuning."""

    optional: bool = False
    """Whether it is applied only where it is selected: true, cheap to act on later, and no news
    to most."""

    @property
    def family(self) -> str:
        """What its family is about."""
        return FAMILIES[self.code[2]]


def apply_rule(rule: Rule, subject: Subject, policy: CheckPolicy) -> Recommendation | None:
    """The rule's recommendation for a configuration, or None."""
    if rule.lora_only and (subject.other_adapter is not None or subject.trains_base):
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
