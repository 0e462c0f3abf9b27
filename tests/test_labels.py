"""What the monitor says of real logs, against what a careful reader sees in them."""

from pathlib import Path

import pytest
from benchmarks.labels import (
    LogLabels,
    conditions,
    read_labels,
    score_codes,
    score_log,
    score_logs,
)

from gradience.core.errors import TelemetryError
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.severity import Severity
from tests.shared_data import SHARED, needs_shared_data


def alert(code: str, severity: Severity = Severity.WARNING) -> MonitorAlert:
    return MonitorAlert(severity=severity, code=code, message="m")


@needs_shared_data
def test_every_must_is_found_and_nothing_else_is_raised() -> None:
    scores = score_logs(SHARED)
    assert len(scores) == len(read_labels(SHARED))
    assert [(score.log, score.error) for score in scores if score.error] == []
    assert [(score.log, score.missed) for score in scores if score.missed] == []
    assert [(score.log, score.false_alarms) for score in scores if score.false_alarms] == []


@needs_shared_data
def test_precision_and_recall_are_whole() -> None:
    codes = score_codes(score_logs(SHARED), conditions(SHARED))
    assert {code.precision for code in codes} <= {1.0, None}


def test_a_must_counts_at_any_severity_and_a_false_alarm_from_warning_on() -> None:
    labels = LogLabels(must=("a", "b"), may=("c",), any_of=("d", "e"))
    raised = [alert("a", Severity.INFO), alert("c"), alert("x"), alert("y", Severity.INFO)]
    score = score_log("log", labels, raised)
    assert score.found == ("a",)
    assert score.missed == ("b", "any of d, e")
    assert score.permitted == ("c",)
    assert [found.code for found in score.false_alarms] == ["x"]
    assert [found.code for found in score.infos] == ["a", "y"]


def test_one_of_several_is_enough() -> None:
    score = score_log("log", LogLabels(any_of=("d", "e")), [alert("e")])
    assert (score.missed, score.false_alarms) == ((), ())


def test_the_codes_counts() -> None:
    labels = LogLabels(must=("a",), may=("b",))
    scores = [
        score_log("1", labels, [alert("a"), alert("b")]),
        score_log("2", labels, [alert("x")]),
        score_log("3", LogLabels(), [alert("a")]),
    ]
    a, b, x = score_codes(scores, ("a", "b"))
    assert (a.found, a.missed, a.false_alarms, a.permitted) == (1, 1, 1, 0)
    assert (a.precision, a.recall) == (0.5, 0.5)
    assert (b.precision, b.recall) == (1.0, None)
    assert (x.code, x.precision) == ("x", 0.0)


def test_a_log_that_cannot_be_read_misses_its_codes(tmp_path: Path) -> None:
    (tmp_path / "LABELS.json").write_text('{"conditions": {}, "logs": {"x": {"must": ["a"]}}}')

    def unreadable(path: Path) -> tuple[MonitorAlert, ...]:
        raise TelemetryError(f"{path}: no such file")

    (score,) = score_logs(tmp_path, unreadable)
    assert score.missed == ("a",)
    assert score.error is not None
    assert score.error.endswith("no such file")


@pytest.mark.parametrize("labels", [LogLabels(), LogLabels(may=("a",))])
def test_a_quiet_log_is_right(labels: LogLabels) -> None:
    score = score_log("log", labels, [])
    assert (score.missed, score.false_alarms) == ((), ())
