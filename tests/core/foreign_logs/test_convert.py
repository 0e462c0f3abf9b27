"""Rows become one run."""

import copy
from collections.abc import Iterator, Mapping

import pytest

from gradience.core.foreign_logs.convert import IDENTITY_ROWS, convert_rows
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.rows import NumberedRow
from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import RunStatus, event_name
from tests.core.foreign_logs.rows_of_logs import converted

STEP = {"step": 1, "loss": 2.0}
SUMMARY = {"step": 9, "train_runtime": 3.0, "train_loss": 1.0}
EVAL = {"step": 9, "eval_loss": 1.5, "eval_runtime": 0.5}
HISTORY = LogFileKind.LOG_HISTORY


def test_a_run_starts_with_what_wrote_it() -> None:
    found = converted(HISTORY, STEP)
    assert [event_name(event) for event in found.events] == ["run_start", "train_step"]
    assert found.start.meta == {"converted_from": "log_history", "clock": "none"}
    assert {event.run_id for event in found.events} == {found.start.run_id}
    assert {event.ts for event in found.events} == {0.0}


def test_the_closing_summary_ends_the_run_after_what_follows_it() -> None:
    found = converted(HISTORY, STEP, SUMMARY, EVAL)
    names = [event_name(event) for event in found.events]
    assert names == ["run_start", "train_step", "metrics", "eval", "run_end"]
    assert found.end is not None
    assert (found.end.status, found.end.step) == (RunStatus.OK, 9)


@pytest.mark.parametrize("rows", [(STEP, EVAL), (SUMMARY, STEP), ()])
def test_without_it_or_with_steps_after_it_the_end_is_unknown(
    rows: tuple[dict[str, object], ...],
) -> None:
    assert converted(HISTORY, *rows).end is None


@pytest.mark.parametrize(("last", "ended"), [(9, False), (10, True), (11, True)])
def test_the_last_planned_step_ends_the_run(last: int, ended: bool) -> None:  # noqa: FBT001
    rows = [{"current_steps": step, "total_steps": 10, "loss": 1.0} for step in (5, last)]
    end = converted(LogFileKind.LLAMA_FACTORY, *rows).end
    assert (end is not None) is ended
    if end is not None:
        assert (end.status, end.step) == (RunStatus.OK, 10)
        assert end.reason == "the last of 10 planned steps was reached"


def test_repeated_and_backward_steps_stay_in_record_order() -> None:
    steps = (5, 5, 3, 5, 1)
    found = converted(HISTORY, *({"step": step, "loss": float(step)} for step in steps))
    assert tuple(event.step for event in found.steps) == steps


def test_a_row_that_could_not_be_read_is_an_issue_with_its_number() -> None:
    problem = LineIssue(Severity.WARNING, "not_json", "broken")
    found = converted(HISTORY, STEP, problem, STEP)
    assert found.issues == ((2, problem),)
    assert len(found.steps) == 2


def test_deep_nesting_is_an_issue() -> None:
    deep: object = 1
    for _ in range(500):
        deep = {"a": deep}
    found = converted(HISTORY, {"step": 1, "loss": 1.0, "x": deep}, STEP)
    ((number, issue),) = found.issues
    assert (number, issue.code, len(found.steps)) == (1, "too_deep", 1)


def test_the_run_id_repeats_and_tells_runs_apart() -> None:
    rows = [{"step": step, "loss": 2.0 / step} for step in range(1, 10)]
    run_id = converted(HISTORY, *rows).start.run_id
    assert run_id.startswith("log_history-")
    assert converted(HISTORY, *rows).start.run_id == run_id
    assert converted(HISTORY, *rows[:IDENTITY_ROWS]).start.run_id == run_id
    assert converted(HISTORY, *rows[1:]).start.run_id != run_id
    assert converted(LogFileKind.STEP_LOG, *rows).start.run_id != run_id


def test_rows_are_read_as_they_come() -> None:
    def rows() -> Iterator[NumberedRow]:
        yield from (NumberedRow(n, STEP) for n in range(1, 10))
        raise AssertionError("read too far")

    found = convert_rows(HISTORY, rows())
    assert [next(found).number for _ in range(10)] == [0, *range(1, 10)]


def test_rows_are_not_changed() -> None:
    rows: list[Mapping[str, object]] = [
        STEP,
        SUMMARY,
        EVAL,
        {"step": "3", "loss": "0.5", "x": [1, {"y": None}]},
    ]
    before = copy.deepcopy(rows)
    converted(HISTORY, *rows)
    assert rows == before
