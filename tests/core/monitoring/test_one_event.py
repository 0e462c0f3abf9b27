"""Which alerts tell the same event, and which do not."""

import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.one_event import BESIDE, SAID_BY, told_once
from gradience.core.severity import Severity


def alert(
    code: str, first: int | None = 10, last: int | None = 20, severity: Severity = Severity.WARNING
) -> MonitorAlert:
    return MonitorAlert(
        severity=severity,
        code=code,
        message=code,
        first_step=first,
        last_step=last,
        context={"n": 1},
    )


@pytest.mark.parametrize(("code", "other"), [(c, o) for c, os in SAID_BY.items() for o in os])
def test_what_a_more_telling_alert_says_is_an_info_that_names_it(code: str, other: str) -> None:
    soft, loud = told_once([alert(code), alert(other, severity=Severity.ERROR)])
    assert (soft.severity, soft.context) == (Severity.INFO, {"n": 1, BESIDE: other})
    assert loud == alert(other, severity=Severity.ERROR)


@pytest.mark.parametrize("code", SAID_BY)
def test_alone_it_stays_a_warning(code: str) -> None:
    assert told_once([alert(code)]) == (alert(code),)


def test_beside_an_info_it_stays_a_warning() -> None:
    both = (alert("no_learning"), alert("divergence", severity=Severity.INFO))
    assert told_once(both) == both


@pytest.mark.parametrize(("first", "last", "soft"), [(1, 9, False), (1, 10, True), (21, 30, False)])
def test_a_spike_elsewhere_is_an_event_of_its_own(first: int, last: int, *, soft: bool) -> None:
    spike, _ = told_once([alert("loss_spike", first, last), alert("divergence")])
    assert (spike.severity is Severity.INFO) == soft


def test_where_steps_are_unknown_events_count_as_one() -> None:
    spike, _ = told_once([alert("loss_spike", None, None), alert("divergence")])
    assert spike.severity is Severity.INFO


def test_no_code_softens_itself_in_a_circle() -> None:
    """Of alerts that are all loud at once, at least one stays so."""
    codes = {*SAID_BY, *(o for others in SAID_BY.values() for o in others)}
    found = told_once([alert(code) for code in sorted(codes)])
    stay = {a.code for a in found if a.severity is Severity.WARNING}
    assert stay == codes - SAID_BY.keys()


def test_a_norm_is_not_louder_than_the_spike_it_goes_with() -> None:
    spike = alert("loss_spike", severity=Severity.INFO)
    norm, elsewhere = alert("grad_norm_outlier"), alert("grad_norm_outlier", 30, 40)
    assert told_once([norm, spike])[0].severity is Severity.INFO
    assert told_once([elsewhere, spike])[0].severity is Severity.WARNING
