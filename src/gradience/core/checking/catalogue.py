"""The rules as a list that can be read: what ``gradience rule`` prints."""

import msgspec

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.rule import Rule
from gradience.core.checking.selection import did_you_mean
from gradience.core.errors import ConfigError
from gradience.core.severity import Severity


class RuleCard(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with everything about it but its function."""

    code: str
    name: str
    family: str
    severity: Severity
    """The highest that it speaks with."""
    action: str
    scope: str
    summary: str
    rationale: str
    source: str
    confidence: float
    refuted_by: str
    thresholds: dict[str, object]
    """The policy's fields that it reads, and their values."""
    speaks: str
    """A configuration in YAML on which it speaks."""
    silent: str
    """A near miss on which it does not."""
    lora_only: bool = False
    optional: bool = False
    """Whether it is applied only where it is selected."""


class RuleList(msgspec.Struct, frozen=True, kw_only=True):
    """All rules."""

    rules: tuple[RuleCard, ...]


def rule_card(rule: Rule, policy: CheckPolicy) -> RuleCard:
    """The card of a rule under a policy."""
    return RuleCard(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=rule.severity,
        action=rule.action,
        scope=rule.scope,
        summary=rule.summary,
        rationale=rule.rationale,
        source=rule.source,
        confidence=rule.confidence,
        refuted_by=rule.refuted_by,
        thresholds={name: _plain(getattr(policy, name)) for name in rule.thresholds},
        speaks=rule.speaks,
        silent=rule.silent,
        lora_only=rule.lora_only,
        optional=rule.optional,
    )


def find_rule(rules: tuple[Rule, ...], wanted: str) -> Rule:
    """The rule of a code or a name.

    Raises:
        ConfigError: There is none.
    """
    for rule in rules:
        if wanted.upper() == rule.code or wanted.lower() == rule.name:
            return rule
    raise ConfigError(
        f"expected the code or name of a rule, such as {rules[0].code} or {rules[0].name}, found "
        f"{wanted!r}.{did_you_mean(rules, wanted)} gradience rule --all lists them."
    )


def _plain(value: object) -> object:
    """A threshold as JSON data."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    return value
