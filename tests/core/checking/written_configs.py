"""Configurations as the rules' examples are written: YAML, with what ``--model`` would resolve."""

from functools import lru_cache
from typing import NamedTuple

import msgspec
import yaml

from gradience.core.architecture.fit import ModelFit
from gradience.core.checking.check import ALL_RULES
from gradience.core.checking.rule import CheckPolicy, Rule, apply_rule, subject_of
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.telemetry.events import Recommendation

BY_CODE = {rule.code: rule for rule in ALL_RULES}


class Written(NamedTuple):
    """A configuration and what it becomes on its model."""

    config: ConfigSnapshot
    model: ModelFit | None


@lru_cache
def read(text: str) -> Written:
    """The configuration of a rule's example."""
    content = yaml.safe_load(text)
    fit = content.pop("model_fit", None)
    return Written(
        msgspec.convert(content, ConfigSnapshot),
        None if fit is None else msgspec.convert(fit, ModelFit),
    )


def verdict(code: str, text: str, policy: CheckPolicy | None = None) -> Recommendation | None:
    """What one rule says of an example."""
    written = read(text)
    rule: Rule = BY_CODE[code]
    return apply_rule(rule, subject_of(written.config, written.model), policy or CheckPolicy())


class Case(NamedTuple):
    """What a rule says of an example, in its severity's first letter and some of its words."""

    code: str
    config: str
    severity: str
    words: str


def assert_speaks(case: Case) -> None:
    """The rule says so, citing itself."""
    found = verdict(case.code, case.config)
    assert found is not None
    assert found.severity.value == case.severity
    assert case.words in found.message
    assert found.evidence["rule"] == case.code
    assert found.evidence["source"] == BY_CODE[case.code].source
