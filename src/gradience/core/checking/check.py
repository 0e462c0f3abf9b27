"""The check of a configuration: every rule, one report."""

import msgspec

from gradience.core.architecture.fit import ModelFit
from gradience.core.checking import (
    budget_rules,
    learning_rate_rules,
    pattern_rules,
    precision_rules,
    quantisation_rules,
    rank_rules,
    serving_rules,
    stability_rules,
    target_rules,
    value_rules,
)
from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.rule import Rule, apply_rule
from gradience.core.checking.serving_rules import needed_of_vllm
from gradience.core.checking.subject import subject_of
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.severity import Severity
from gradience.core.telemetry.events import Recommendation

ALL_RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            *learning_rate_rules.RULES,
            *target_rules.RULES,
            *rank_rules.RULES,
            *stability_rules.RULES,
            *precision_rules.RULES,
            *budget_rules.RULES,
            *quantisation_rules.RULES,
            *serving_rules.RULES,
            *value_rules.RULES,
            *pattern_rules.RULES,
        ),
        key=lambda rule: rule.code,
    )
)
"""All rules, by code."""

RULES: tuple[Rule, ...] = tuple(rule for rule in ALL_RULES if not rule.optional)
"""The rules that are applied where nothing is selected."""

ALL_WELL_CONFIDENCE = 0.5
"""Of ``config_ok``: the rules cover only part of what can go wrong (inferred)."""


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of a configuration, most severe first."""

    config: ConfigSnapshot
    recommendations: tuple[Recommendation, ...]
    scaling: float | None = None
    """s of ΔW = s·B·A, rsLoRA respected; None where rank or alpha is unknown."""
    effective_batch: float | None = None
    """Examples per optimizer step: per device x accumulation x processes, as far as they are
    said."""
    max_rank: int | None = None
    """The largest rank of any module, patterns included."""
    vllm_max_lora_rank: int | None = None
    """The ``max_lora_rank`` that vLLM needs to serve that rank; None where its default will do, or
    where it takes none that is large enough."""
    model: ModelFit | None = None
    """What the configuration becomes on its model; None where the model was not given."""
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
    model: ModelFit | None = None,
) -> CheckReport:
    """Applies the rules to a configuration.

    Args:
        config: The configuration; what it does not say is not judged.
        policy: The thresholds.
        rules: The rules to apply.
        sources: The files it came from, for the report.
        model: What the configuration becomes on its model, where that is known.

    Returns:
        The report. ``config_ok`` stands in it only when no rule had anything to say; without any
        rule nothing stands in it.
    """
    policy = policy or CheckPolicy()
    subject = subject_of(config, model)
    found = [
        recommendation
        for rule in rules
        if (recommendation := apply_rule(rule, subject, policy)) is not None
    ]
    found.sort(key=lambda recommendation: -recommendation.severity.order)
    if rules and not found:
        found.append(_all_well(len(rules)))
    return CheckReport(
        config=config,
        scaling=subject.scaling,
        effective_batch=subject.effective_batch,
        max_rank=None if subject.max_rank is None else int(subject.max_rank),
        vllm_max_lora_rank=needed_of_vllm(subject.max_rank, policy),
        model=model,
        recommendations=tuple(found),
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
