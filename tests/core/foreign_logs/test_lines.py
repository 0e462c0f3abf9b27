"""Lines become rows or issues."""

import pytest

from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.lines import row_of_line
from gradience.core.telemetry.decode import LineIssue


def test_a_line_of_json_is_a_row() -> None:
    assert row_of_line(LogFileKind.STEP_LOG, b'{"step": 1, "loss": Infinity}\n') == {
        "step": 1,
        "loss": float("inf"),
    }


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b'{"step": 1,', "not_json", "found what does not parse"),
        (b"[1]", "not_object", "expected a JSON object, found list"),
        (b"\xff\xfe", "not_json", "expected one JSON object"),
        (b"[" * 100_000, "not_json", "expected one JSON object"),
    ],
)
def test_any_other_line_is_an_issue(line: bytes, code: str, words: str) -> None:
    issue = row_of_line(LogFileKind.LLAMA_FACTORY, line)
    assert isinstance(issue, LineIssue)
    assert issue.code == code
    assert words in issue.message


def test_a_line_of_torchtune_is_a_row() -> None:
    row = row_of_line(LogFileKind.TORCHTUNE, b"Step 3 | loss:2.5 lr:2e-05 \n")
    assert row == {"step": 3, "loss": 2.5, "lr": 2e-5}


def test_another_line_in_torchtunes_log_is_an_issue() -> None:
    issue = row_of_line(LogFileKind.TORCHTUNE, b"INFO: saved\n")
    assert isinstance(issue, LineIssue)
    assert issue.code == "odd_line"
