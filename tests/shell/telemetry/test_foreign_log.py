"""Logs of other tools, as files."""

import json
from pathlib import Path

import pytest

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.events import TrainStep, event_name
from gradience.shell.telemetry import foreign_log
from gradience.shell.telemetry.foreign_log import read_document
from gradience.shell.telemetry.run_log import RunLog, open_run_log

ROW = {"current_steps": 1, "total_steps": 9, "loss": 2.0}


def rows(*given: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in given)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trainer_log.jsonl"


def opened(path: Path, content: bytes, *, strict: bool = False) -> RunLog:
    path.write_bytes(content)
    return open_run_log(path, strict_schema=strict)


def losses(log: RunLog) -> list[float | None]:
    return [event.loss for event in log.iter_events() if isinstance(event, TrainStep)]


def test_events_come_by_type(path: Path) -> None:
    log = opened(path, rows(ROW, {**ROW, "loss": None, "eval_loss": 1.0}))
    assert [event_name(event) for event in log.iter_events("eval")] == ["eval"]


def test_batches_hold_the_events_in_order(path: Path) -> None:
    log = opened(path, rows(*({**ROW, "current_steps": n} for n in range(10))))
    batches = list(log.iter_batches(4))
    assert [(batch.start, batch.stop) for batch in batches] == [(0, 4), (4, 8), (8, 12)]
    assert [int(step) for batch in batches for step in batch.step] == list(range(10))


def test_lines_that_are_no_rows_are_issues_with_their_number(path: Path) -> None:
    log = opened(path, rows(ROW) + b"\nnot json\n[1]\n" + rows(ROW))
    assert losses(log) == [2.0, 2.0]
    assert [(issue.line, issue.code) for issue in log.issues] == [
        (3, "not_json"),
        (4, "not_object"),
    ]


def test_a_second_pass_counts_no_issue_twice(path: Path) -> None:
    log = opened(path, rows(ROW) + b"not json\n")
    for _ in range(2):
        losses(log)
    assert [issue.count for issue in log.issues] == [1]


def test_a_torn_last_line_is_an_issue(path: Path) -> None:
    log = opened(path, rows(ROW, ROW)[:-10])
    assert losses(log) == [2.0]
    assert [(issue.line, issue.code) for issue in log.issues] == [(2, "torn_line")]


def test_a_last_line_without_its_newline_is_whole(path: Path) -> None:
    log = opened(path, rows(ROW, ROW)[:-1])
    assert losses(log) == [2.0, 2.0]
    assert log.issues == ()


def test_a_number_of_torchtune_that_is_cut_off_is_not_taken_for_another(path: Path) -> None:
    log = opened(path, b"Step 1 | loss:2.125 \nStep 2 | loss:2.1")
    assert losses(log) == [2.125]
    assert [issue.code for issue in log.issues] == ["torn_line"]


def test_a_line_too_long_is_skipped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_log, "MAX_LINE_BYTES", 100)
    log = opened(path, rows(ROW, {**ROW, "note": "x" * 500}, ROW))
    assert losses(log) == [2.0, 2.0]
    assert [(issue.line, issue.code) for issue in log.issues] == [(2, "line_too_long")]


@pytest.mark.parametrize(
    "odd", [b"not json\n", b'{"current_steps": 1, "total_steps": 9, "loss": "?"}\n']
)
def test_strict_raises_on_a_warning(path: Path, odd: bytes) -> None:
    log = opened(path, rows(ROW) + odd, strict=True)
    with pytest.raises(TelemetryError, match=r"trainer_log\.jsonl:2: expected .* --strict-schema"):
        losses(log)


def test_strict_lets_information_pass(path: Path) -> None:
    assert losses(opened(path, rows({**ROW, "loss": "2.5"}), strict=True)) == [2.5]


def test_a_file_that_vanishes_is_named(path: Path) -> None:
    log = opened(path, rows(ROW))
    path.unlink()
    with pytest.raises(TelemetryError, match="cannot read the log"):
        losses(log)


def test_a_document_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b'{"log_history": []}')
    monkeypatch.setattr(foreign_log, "MAX_DOCUMENT_BYTES", 10)
    with pytest.raises(TelemetryError, match="of at most 10 bytes, found one of 19"):
        read_document(path)


def test_a_document_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(TelemetryError, match="cannot read the log"):
        read_document(path)
