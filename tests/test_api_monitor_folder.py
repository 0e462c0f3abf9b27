"""``monitor`` of every run below a folder."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from gradience import api
from gradience.core.errors import TelemetryError
from gradience.core.monitoring.runs_table import RunRow, RunsReport
from gradience.core.severity import Severity
from gradience.core.signals.run_status import Outcome
from gradience.shell.telemetry.writer import TelemetryWriter
from tests.shared_data import SHARED, needs_shared_data

ROWS: list[dict[str, object]] = [
    {"epoch": 0.5, "step": 5, "loss": 2.5, "learning_rate": 1e-4},
    {"epoch": 1.0, "step": 10, "loss": 2.0, "learning_rate": 5e-5},
    {"epoch": 1.0, "step": 10, "eval_loss": 2.1, "eval_runtime": 1.0},
    {"epoch": 1.5, "step": 15, "loss": 1.5, "learning_rate": 1e-5},
    {"epoch": 1.5, "step": 15, "eval_loss": 2.2, "eval_runtime": 1.0},
]


def checkpoint(
    folder: Path,
    rows: list[dict[str, object]],
    max_steps: int = 20,
    callbacks: dict[str, object] | None = None,
) -> None:
    step = rows[-1]["step"]
    path = folder / f"checkpoint-{step}" / "trainer_state.json"
    path.parent.mkdir(parents=True)
    state = {"global_step": step, "max_steps": max_steps, "num_train_epochs": 2}
    told = {"stateful_callbacks": callbacks or {}, "log_history": rows}
    path.write_text(json.dumps({**state, **told}))


def record(path: Path, rows: list[dict[str, object]], run_id: str | None = None) -> None:
    with TelemetryWriter(path, run_id=run_id) as writer:
        for row in rows:
            step = int(str(row["step"]))
            if "loss" in row:
                writer.train_step(step, loss=row["loss"])
            else:
                writer.eval(step, split="eval", metrics={"loss": row["eval_loss"]})


def by_file(report: RunsReport) -> dict[str, RunRow]:
    return {row.file: row for row in report.runs}


def test_a_runs_checkpoints_are_one_row(tmp_path: Path) -> None:
    checkpoint(tmp_path / "out", ROWS[:1])
    checkpoint(tmp_path / "out", ROWS)
    (row,) = api.monitor_folder(tmp_path).runs
    assert row.file == "out/checkpoint-15/trainer_state.json"
    assert len(row.checkpoints) == 2
    assert row.status is Outcome.UNFINISHED
    assert (row.last_step, row.total_steps) == (15, 20)
    assert (row.eval_last, row.eval_best, row.eval_best_step) == (2.2, 2.1, 10)
    assert row.loss_last == 2.0


def test_checkpoints_of_another_length_in_the_same_folder_are_another_run(tmp_path: Path) -> None:
    checkpoint(tmp_path, ROWS[:1], max_steps=7)
    checkpoint(tmp_path, ROWS)
    assert [row.total_steps for row in api.monitor_folder(tmp_path).runs] == [7, 20]


def test_checkpoints_of_a_recorded_run_belong_to_its_recording(tmp_path: Path) -> None:
    checkpoint(tmp_path / "out", ROWS)
    record(tmp_path / "out" / "run.jsonl", ROWS)
    (row,) = api.monitor_folder(tmp_path).runs
    assert row.file == "out/run.jsonl"
    assert row.checkpoints == ("out/checkpoint-15/trainer_state.json",)


def test_a_recording_of_other_losses_is_another_run(tmp_path: Path) -> None:
    checkpoint(tmp_path / "out", ROWS)
    record(tmp_path / "out" / "run.jsonl", ROWS[:2])
    assert set(by_file(api.monitor_folder(tmp_path))) == {
        "out/run.jsonl",
        "out/checkpoint-15/trainer_state.json",
    }


def test_checkpoints_that_carry_the_run_id_of_a_recording_belong_to_it(tmp_path: Path) -> None:
    checkpoint(tmp_path / "out", ROWS, callbacks={"gradience": {"run.jsonl": "mine"}})
    record(tmp_path / "logs" / "run.jsonl", ROWS[:1], run_id="mine")
    record(tmp_path / "out" / "other.jsonl", ROWS, run_id="other")
    rows = by_file(api.monitor_folder(tmp_path))
    assert set(rows) == {"logs/run.jsonl", "out/other.jsonl"}
    assert rows["logs/run.jsonl"].checkpoints == ("out/checkpoint-15/trainer_state.json",)


def test_a_checkpoint_that_logged_nothing_belongs_to_the_one_recording_beside_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out" / "checkpoint-5" / "trainer_state.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"global_step": 5, "max_steps": 10, "log_history": []}))
    record(tmp_path / "out" / "run.jsonl", ROWS[:1])
    (row,) = api.monitor_folder(tmp_path).runs
    assert (row.file, row.checkpoints) == (
        "out/run.jsonl",
        ("out/checkpoint-5/trainer_state.json",),
    )
    record(tmp_path / "out" / "run.20260101-000000.jsonl", ROWS[:2])
    assert len(api.monitor_folder(tmp_path).runs) == 3


def test_a_link_to_a_log_is_no_second_run(tmp_path: Path) -> None:
    record(tmp_path / "out" / "run.jsonl", ROWS)
    (tmp_path / "latest.jsonl").symlink_to(tmp_path / "out" / "run.jsonl")
    assert set(by_file(api.monitor_folder(tmp_path))) == {"out/run.jsonl"}


def test_the_files_of_further_processes_are_no_runs(tmp_path: Path) -> None:
    record(tmp_path / "run.jsonl", ROWS, run_id="mine")
    record(tmp_path / "run.rank1.jsonl", ROWS[:1], run_id="mine")
    (row,) = api.monitor_folder(tmp_path).runs
    assert (row.file, row.ranks) == ("run.jsonl", ("run.rank1.jsonl",))


def test_strict_leaves_out_a_log_with_an_issue(tmp_path: Path) -> None:
    record(tmp_path / "good" / "run.jsonl", ROWS)
    record(tmp_path / "odd" / "run.jsonl", ROWS)
    with (tmp_path / "odd" / "run.jsonl").open("ab") as file:
        file.write(b"no JSON\n")
    assert len(api.monitor_folder(tmp_path).runs) == 2
    report = api.monitor_folder(tmp_path, strict_schema=True)
    assert [row.file for row in report.runs] == ["good/run.jsonl"]
    (unread,) = report.unread
    assert (unread.file, unread.severity) == ("odd/run.jsonl", Severity.WARNING)
    assert "--strict-schema" in unread.reason


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "run.jsonl", ROWS)
    (tmp_path / "locked").mkdir()
    listed = os.scandir

    def scandir(folder: str) -> object:
        if Path(folder).name == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    (unread,) = api.monitor_folder(tmp_path).unread
    assert (unread.file, unread.severity) == ("locked", Severity.WARNING)
    assert unread.reason == f"{tmp_path / 'locked'}: cannot list the folder: Permission denied"


def test_what_is_no_log_and_what_is_damaged_is_named(tmp_path: Path) -> None:
    record(tmp_path / "run.jsonl", ROWS)
    (tmp_path / "data.jsonl").write_text('{"prompt": "hello", "answer": "world"}\n')
    (tmp_path / "trainer_state.json").write_text('{"log_history": [')
    hidden = tmp_path / ".cache"
    hidden.mkdir()
    shutil.copy(tmp_path / "run.jsonl", hidden / "run.jsonl")
    report = api.monitor_folder(tmp_path)
    assert [row.file for row in report.runs] == ["run.jsonl"]
    unread = {log.file: log for log in report.unread}
    assert unread["data.jsonl"].severity is Severity.INFO
    assert unread["trainer_state.json"].severity is Severity.WARNING
    assert "expected JSON" in unread["trainer_state.json"].reason
    assert Severity.WARNING in report.severities


def test_rows_stand_in_the_order_a_person_counts(tmp_path: Path) -> None:
    for name in ("run10", "run9"):
        record(tmp_path / name / "run.jsonl", ROWS)
    assert [row.file for row in api.monitor_folder(tmp_path).runs] == [
        "run9/run.jsonl",
        "run10/run.jsonl",
    ]


def test_the_worst_alert_of_a_run_is_its_severity(tmp_path: Path) -> None:
    record(tmp_path / "run.jsonl", [{"step": 1, "loss": float("nan")}])
    (row,) = api.monitor_folder(tmp_path).runs
    assert (row.worst_alert, row.severity) == ("nonfinite_loss", Severity.ERROR)
    assert row.alerts["nonfinite_loss"] is Severity.ERROR


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match="cannot list the folder"):
        api.monitor_folder(tmp_path / "nowhere")


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    assert api.monitor_folder(tmp_path).runs == ()


@needs_shared_data
@pytest.mark.parametrize(
    ("folder", "steps"),
    [
        ("trainer_state/results_dir_with_several_runs", {1000: 2, 1220: 1, 1500: 1}),
        ("adapters/gpt2_ckpts_mixed_targets", {500: 1, 1000: 1, 7500: 1}),
        ("adapters/roberta_r2_query_ckpts", {2400: 2}),
    ],
)
def test_real_folders_of_checkpoints_are_told_apart(folder: str, steps: dict[int, int]) -> None:
    report = api.monitor_folder(SHARED / folder)
    assert {row.last_step: max(1, len(row.checkpoints)) for row in report.runs} == steps
    assert report.unread == ()
