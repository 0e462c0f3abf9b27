"""Alerts on record, and events that the recorder lost."""

import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.recorded_alerts import dropped_alerts, recorded_alerts
from gradience.core.severity import Severity
from gradience.core.signals import records
from gradience.core.signals.analyzer import fold
from gradience.core.signals.recorder_counts import RecorderCounts, StepCount
from gradience.core.signals.records import recorded
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import alert, batch


def alerts(*events: AnyEvent, told: frozenset[str] = frozenset()) -> list[MonitorAlert]:
    return [*recorded_alerts(fold(recorded(), [batch(*events)]), told)]


def dropped(count: int, first: int | None, last: int | None) -> list[MonitorAlert]:
    lost = StepCount(count=count, first_step=first, last_step=last)
    return [*dropped_alerts(RecorderCounts(dropped_events=lost))]


def test_alerts_of_one_code_are_one() -> None:
    (found,) = alerts(alert("part_failed", step=3), alert("part_failed", step=8))
    assert (found.severity, found.code) == (Severity.WARNING, "part_failed")
    assert found.message == "about part_failed (2 times)"
    assert (found.first_step, found.last_step, found.context["count"]) == (3, 8, 2)


@pytest.mark.parametrize("severity", list(Severity))
def test_infos_on_record_stay_there(severity: Severity) -> None:
    assert bool(alerts(alert("a", severity))) is severity.at_least(Severity.WARNING)


def test_the_guards_alerts_and_those_told_already_are_left_to_others() -> None:
    events = alert("GUARD_ROLLBACK"), alert("nonfinite_parameters"), alert("mine")
    found = alerts(*events, told=frozenset({"nonfinite_parameters"}))
    assert [entry.code for entry in found] == ["mine"]


def test_alerts_of_codes_beyond_the_bound_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_CODES_KEPT", 1)
    found = alerts(alert("a"), alert("b"), alert("c"), alert("a"))
    assert [entry.code for entry in found] == ["a", "more_alerts"]
    assert found[1].message == "2 further alerts, of other codes, on record"


def test_lost_events_are_a_warning() -> None:
    (found,) = dropped(3, 7, 7)
    assert (found.severity, found.code, found.context) == (
        Severity.WARNING,
        "dropped_events",
        {"count": 3},
    )
    assert found.message == (
        "the recorder lost 3 events before step 7: every number here is of what could be written"
    )


@pytest.mark.parametrize(
    ("steps", "words"),
    [((7, 9), "lost 1 event before steps 7 to 9:"), ((None, None), "lost 1 event: every number")],
)
def test_the_place_of_lost_events_is_named(
    steps: tuple[int | None, int | None], words: str
) -> None:
    assert words in dropped(1, *steps)[0].message


def test_without_lost_events_there_is_no_alert() -> None:
    assert dropped(0, None, None) == []
