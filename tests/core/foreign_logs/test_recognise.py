"""Logs are told by their keys."""

import pytest

from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.recognise import (
    is_torchtune_line,
    recognise_document,
    recognise_row,
)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"current_steps": 1, "total_steps": 2}, LogFileKind.LLAMA_FACTORY),
        ({"loss": 1.0, "global_step/max_steps": "1/9"}, LogFileKind.MS_SWIFT),
        ({"loss": 1.0, "iteration": "1/9", "memory(GiB)": 3.0}, LogFileKind.MS_SWIFT),
        ({"loss": 1.0, "global_step": 1, "train_speed(iter/s)": 3.0}, LogFileKind.MS_SWIFT),
        ({"step": 1, "loss": 2.0}, LogFileKind.STEP_LOG),
        ({"epoch": 1.0, "eval_loss": 2.0}, LogFileKind.STEP_LOG),
        ({"iter": 1, "loss": 2.0}, LogFileKind.STEP_LOG),
        ({"step": 1, "train_runtime": 2.0}, LogFileKind.STEP_LOG),
        ({"step": 1, "reward": 2.0}, None),
        ({"loss": 1.0}, None),
        ({"schema": "x", "step": 1, "loss": 1.0}, None),
        ({"event": "x", "step": 1, "loss": 1.0}, None),
        ({}, None),
        ([], None),
        ("Step 1 | loss:2", None),
        (None, None),
    ],
)
def test_a_row_is_recognised(row: object, kind: LogFileKind | None) -> None:
    assert recognise_row(row) is kind


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"log_history": []}, LogFileKind.TRAINER_STATE),
        ({"log_history": 3, "max_steps": 1}, LogFileKind.TRAINER_STATE),
        ([{"step": 1, "loss": 2.0}], LogFileKind.LOG_HISTORY),
        ([{"step": 0, "note": "?"}, {"step": 1, "loss": 2.0}], LogFileKind.LOG_HISTORY),
        ({"run_info": {}, "train_info": {}}, LogFileKind.PEFT_RESULT),
        ([], None),
        ([1, 2], None),
        ([{"text": "a"}], None),
        ([{"current_steps": 1, "total_steps": 2}], None),
        ({"peft_type": "LORA"}, None),
        (3, None),
    ],
)
def test_a_document_is_recognised(document: object, kind: LogFileKind | None) -> None:
    assert recognise_document(document) is kind


@pytest.mark.parametrize("line", [b"Step 1 | loss:2.1 lr:2e-05 \n", b"Step 10 | loss:nan\n"])
def test_a_line_of_torchtune_is_recognised(line: bytes) -> None:
    assert is_torchtune_line(line)


@pytest.mark.parametrize("line", [b"Step one | loss:2", b"Step 1: loss 2", b"{}", b""])
def test_another_line_is_not(line: bytes) -> None:
    assert not is_torchtune_line(line)
