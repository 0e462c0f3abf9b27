"""Advice on alerts: one hypothesis for each, with its grounds."""

import pytest

from gradience.core.monitoring.advice import ADVICE, advice_on
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.severity import Severity


def alert(code: str, severity: Severity = Severity.WARNING) -> MonitorAlert:
    return MonitorAlert(severity=severity, code=code, message="seen", first_step=3, last_step=9)


@pytest.mark.parametrize("code", ADVICE)
def test_every_advice_has_its_grounds_and_what_would_refute_it(code: str) -> None:
    (found,) = advice_on([alert(code)])
    assert found.action == ADVICE[code].action
    assert 0 < found.confidence < 1
    assert all([found.message, found.rationale, found.scope, found.refuted_by])
    assert found.evidence["source"]
    assert (found.evidence["alert"], found.evidence["last_step"]) == (code, 9)


def test_an_info_needs_no_advice() -> None:
    assert not list(advice_on([alert("loss_spike", Severity.INFO)]))


def test_a_code_without_advice_is_passed_over() -> None:
    assert not list(advice_on([alert("run_error", Severity.ERROR)]))


def test_two_alerts_of_one_advice_give_it_once_for_the_first() -> None:
    found = list(advice_on([alert("divergence", Severity.ERROR), alert("extreme_lr")]))
    assert [item.evidence["alert"] for item in found] == ["divergence"]


def test_a_hypothesis_is_never_more_than_a_warning() -> None:
    (found,) = advice_on([alert("divergence", Severity.ERROR)])
    assert found.severity is Severity.WARNING
