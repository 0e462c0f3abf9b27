"""The check of a configuration: every rule, one report."""

import msgspec

from gradience.core.checking import adapter_rules, config_rules, optimizer_rules
from gradience.core.checking.rule import CheckPolicy, Rule, apply_rule, subject_of
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.severity import Severity
from gradience.core.telemetry.events import Recommendation

RULES: tuple[Rule, ...] = (
    *optimizer_rules.RULES,
    *adapter_rules.RULES,
    *config_rules.RULES,
)
"""All rules, by family."""

ALL_WELL_CONFIDENCE = 0.5
"""Of ``config_ok``: the rules cover only part of what can go wrong (inferred)."""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a configuration, most severe first."""

    config: ConfigSnapshot
    recommendations: tuple[Recommendation, ...]
    scaling: float | None = None
    """s of ΔW = s·B·A, rsLoRA respected; None where rank or alpha is unknown."""
    sources: tuple[str, ...] = ()
    """The files that the configuration was read from, lowest precedence first."""
    rules_applied: int = 0

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severities of the recommendations."""
        return tuple(recommendation.severity for recommendation in self.recommendations)


def check_config(
    config: ConfigSnapshot,
    policy: CheckPolicy | None = None,
    rules: tuple[Rule, ...] = RULES,
    sources: tuple[str, ...] = (),
) -> CheckReport:
    """Applies the rules to a configuration.

    Args:
        config: The configuration; what it does not say is not judged.
        policy: The thresholds.
        rules: The rules to apply.
        sources: The files it came from, for the report.

    Returns:
        The report. ``config_ok`` stands in it only when no rule had anything to say.
    """
    policy = policy or CheckPolicy()
    subject = subject_of(config)
    found = [
        recommendation
        for rule in rules
        if (recommendation := apply_rule(rule, subject, policy)) is not None
    ]
    found.sort(key=lambda recommendation: -recommendation.severity.order)
    return CheckReport(
        config=config,
        scaling=subject.scaling,
        recommendations=tuple(found) or (_all_well(len(rules)),),
        sources=sources,
        rules_applied=len(rules),
    )


def _all_well(count: int) -> Recommendation:
    return Recommendation(
        severity=Severity.INFO,
        action="config_ok",
        message=f"none of {count} rules has anything to say against this configuration",
        rationale="That is no prediction of success: evaluate on held-out data.",
        confidence=ALL_WELL_CONFIDENCE,
        scope="config",
        evidence={
            "rules": count,
            "source": "inferred: no rule, each with a source of its own, found anything",
        },
        refuted_by="A run of this configuration that fails for a reason visible in it.",
    )
