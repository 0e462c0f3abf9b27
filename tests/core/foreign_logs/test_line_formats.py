"""The rows of LLaMA-Factory, ms-swift, torchtune and plain step logs."""

import math
from collections.abc import Mapping

import pytest

from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.line_formats import FINAL_STATE, checkpoint_name, torchtune_row
from gradience.core.telemetry.events import RunStatus
from tests.core.foreign_logs.rows_of_logs import converted

LLAMA = {
    "current_steps": 10,
    "total_steps": 250,
    "loss": 0.85,
    "lr": 1e-5,
    "epoch": 0.25,
    "percentage": 4.0,
    "elapsed_time": "1 day, 0:02:12",
    "remaining_time": "2:00:00",
    "throughput": 1234.5,
}

SWIFT = {
    "loss": 0.043,
    "learning_rate": 7e-8,
    "token_acc": 0.75,
    "epoch": 0.5,
    "global_step/max_steps": "5/500",
    "percentage": "1.00%",
    "elapsed_time": "1m 6s",
    "remaining_time": "47m 29s",
    "memory(GiB)": 22.46,
    "train_speed(s/it)": 5.71,
}


def without(row: Mapping[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in row.items() if key not in keys}


def test_a_row_of_llama_factory() -> None:
    found = converted(LogFileKind.LLAMA_FACTORY, LLAMA)
    (step,) = found.steps
    assert (step.step, step.loss, step.lr, step.epoch) == (10, 0.85, 1e-5, 0.25)
    assert step.ts == 86_532.0
    assert step.extras == {"percentage": 4.0, "remaining_time": "2:00:00", "throughput": 1234.5}
    assert found.start.config.training.max_steps == 250
    assert found.start.meta == {"converted_from": "llama_factory", "clock": "elapsed"}
    assert found.end is None


def test_older_llama_factory_writes_nulls_and_another_name_for_the_rate() -> None:
    row = {**without(LLAMA, "lr"), "learning_rate": 2e-5, "eval_loss": None, "reward": None}
    found = converted(LogFileKind.LLAMA_FACTORY, row)
    (step,) = found.steps
    assert (step.lr, found.evals) == (2e-5, ())
    assert "reward" not in step.extras


def test_an_evaluation_of_llama_factory_is_without_the_progress_bar() -> None:
    row = {**without(LLAMA, "loss", "lr"), "eval_loss": 1.64}
    (held_out,) = converted(LogFileKind.LLAMA_FACTORY, row).evals
    assert (held_out.step, held_out.split, held_out.ts) == (10, "eval", 86_532.0)
    assert held_out.metrics == {"epoch": 0.25, "loss": 1.64, "throughput": 1234.5}


def test_a_prediction_of_llama_factory_is_a_split() -> None:
    row = {**without(LLAMA, "loss", "lr"), "predict_loss": 1.5}
    (held_out,) = converted(LogFileKind.LLAMA_FACTORY, row).evals
    assert (held_out.split, held_out.metrics["loss"]) == ("predict", 1.5)


def test_numbers_as_text_are_read_and_said() -> None:
    row = {**LLAMA, "loss": "0.85", "total_steps": "250"}
    found = converted(LogFileKind.LLAMA_FACTORY, row)
    assert found.steps[0].loss == 0.85
    assert found.start.config.training.max_steps == 250
    ((number, issue),) = found.issues
    assert number == 1
    assert issue.message == "expected numbers, found text under loss, total_steps; read as numbers"


def test_a_time_that_cannot_be_read_is_kept_and_time_stands_still() -> None:
    found = converted(LogFileKind.LLAMA_FACTORY, LLAMA, {**LLAMA, "elapsed_time": "?"})
    assert [step.ts for step in found.steps] == [86_532.0, 86_532.0]
    assert found.steps[1].extras["elapsed_time"] == "?"


def test_other_planned_steps_are_an_issue_with_their_row() -> None:
    found = converted(LogFileKind.LLAMA_FACTORY, LLAMA, LLAMA, {**LLAMA, "total_steps": 99})
    ((number, issue),) = found.issues
    assert number == 3
    assert issue.message == (
        "expected 250 steps in all as in the rows before, found 99: several runs seem to have "
        "been written to one file"
    )


def test_a_row_of_ms_swift() -> None:
    found = converted(LogFileKind.MS_SWIFT, SWIFT)
    (step,) = found.steps
    assert (step.step, step.loss, step.lr, step.ts) == (5, 0.043, 7e-8, 66.0)
    kept = ("token_acc", "percentage", "remaining_time", "memory(GiB)", "train_speed(s/it)")
    assert step.extras == {key: SWIFT[key] for key in kept}
    assert found.start.config.training.max_steps == 500


@pytest.mark.parametrize(
    "place", [{"iteration": "5/500"}, {"global_step": 5}, {"global_step/max_steps": "5/500"}]
)
def test_ms_swift_names_the_step_in_three_ways(place: Mapping[str, object]) -> None:
    row = {**without(SWIFT, "global_step/max_steps"), **place}
    (step,) = converted(LogFileKind.MS_SWIFT, row).steps
    assert step.step == 5
    assert not step.extras.keys() & place.keys()


def test_an_evaluation_of_ms_swift() -> None:
    row = {**without(SWIFT, "loss", "learning_rate"), "eval_loss": 0.5, "eval_runtime": 49.9}
    (held_out,) = converted(LogFileKind.MS_SWIFT, row).evals
    expected = {"epoch": 0.5, "loss": 0.5, "runtime": 49.9, "token_acc": 0.75, "memory(GiB)": 22.46}
    assert held_out.metrics == expected


def test_ms_swifts_last_row_repeats_no_rows_and_names_no_paths() -> None:
    last = {
        "model_parameter_info": "SwiftModel: 7B",
        "last_model_checkpoint": "/home/someone/out/v0/checkpoint-500",
        "best_model_checkpoint": None,
        "best_metric": 0.5,
        "global_step": 500,
        "log_history": [{"loss": 0.043, "step": 5}],
        "memory": 22.46,
    }
    summary = {"train_runtime": 12.0, "train_loss": 0.5, "global_step/max_steps": "500/500"}
    found = converted(LogFileKind.MS_SWIFT, SWIFT, summary, last)
    assert len(found.steps) == 1
    assert found.metrics[-1].kind == FINAL_STATE
    assert found.metrics[-1].metrics == {
        "best_metric": 0.5,
        "memory": 22.46,
        "last_model_checkpoint": "checkpoint-500",
    }
    assert found.end is not None
    assert (found.end.status, found.end.step) == (RunStatus.OK, 500)


def test_ms_swifts_last_row_alone_says_not_that_the_run_ended_well() -> None:
    last = {"last_model_checkpoint": None, "best_model_checkpoint": None, "best_metric": None}
    found = converted(LogFileKind.MS_SWIFT, SWIFT, last)
    assert found.end is None
    assert found.metrics[0].metrics == {}


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("Step 1 | loss:2.1 lr:2e-05 ", {"step": 1, "loss": 2.1, "lr": 2e-5}),
        ("Step 2 | loss:2.0", {"step": 2, "loss": 2.0}),
        ("Step 3 | loss:nan grad_norm:inf ", {"step": 3, "loss": math.nan, "grad_norm": math.inf}),
        ("Step 4 | loss:tensor(2.5) ", {"step": 4, "loss": 2.5}),
        (
            "Step 5 | grad_norm:tensor(1.25, device='cuda:0') lr:1e-4 ",
            {"step": 5, "grad_norm": 1.25, "lr": 1e-4},
        ),
        ("Step 6 | note:warm ", {"step": 6, "note": "warm"}),
    ],
)
def test_a_line_of_torchtune(line: str, row: dict[str, object]) -> None:
    assert repr(torchtune_row(line)) == repr({**without(row, "step"), "step": row["step"]})


@pytest.mark.parametrize("line", ["", "Step 1 |", "Step 1 | ", "Step x | loss:1", "loss:1"])
def test_what_is_no_line_of_torchtune(line: str) -> None:
    assert torchtune_row(line) is None


def test_a_validation_of_torchtune_is_an_evaluation() -> None:
    found = converted(LogFileKind.TORCHTUNE, {"val_loss": 1.5, "step": 8})
    (held_out,) = found.evals
    assert (held_out.step, held_out.split, held_out.metrics) == (8, "val", {"loss": 1.5})
    assert found.start.meta["clock"] == "none"


def test_a_step_log_under_trackers_names() -> None:
    row = {"step": 1, "train/loss": 2.0, "train/learning_rate": 1e-4, "train/kl": 0.1}
    found = converted(LogFileKind.STEP_LOG, row, {"step": 1, "eval/loss": 3.0})
    (step,) = found.steps
    assert (step.loss, step.lr, step.extras) == (2.0, 1e-4, {"kl": 0.1})
    assert found.evals[0].metrics == {"loss": 3.0}


@pytest.mark.parametrize("name", ["step", "global_step", "iteration", "iter"])
@pytest.mark.parametrize("kind", [LogFileKind.STEP_LOG, LogFileKind.LOG_HISTORY])
def test_step_logs_name_the_step_in_several_ways(kind: LogFileKind, name: str) -> None:
    found = converted(kind, {name: 7, "loss": 2.0, "elapsed_time": "1:00"})
    (step,) = found.steps
    assert (step.step, step.extras) == (7, {"elapsed_time": "1:00"})


def test_the_first_of_several_names_is_the_step() -> None:
    (step,) = converted(LogFileKind.STEP_LOG, {"iter": 1, "global_step": 2, "loss": 2.0}).steps
    assert (step.step, step.extras) == (2, {"iter": 1})


def test_a_step_log_may_tell_the_time() -> None:
    found = converted(LogFileKind.STEP_LOG, {"step": 1, "loss": 2.0, "elapsed_time": "0:01:00"})
    assert (found.steps[0].ts, found.start.meta["clock"]) == (60.0, "elapsed")


def test_train_loss_is_the_loss_where_there_is_no_other() -> None:
    found = converted(LogFileKind.STEP_LOG, {"step": 1, "train_loss": 2.0})
    assert found.steps[0].loss == 2.0
    both = converted(LogFileKind.STEP_LOG, {"step": 1, "train_loss": 2.0, "loss": 1.0})
    assert (both.steps[0].loss, both.steps[0].extras) == (1.0, {"train_loss": 2.0})


@pytest.mark.parametrize(
    "kind", [LogFileKind.STEP_LOG, LogFileKind.LLAMA_FACTORY, LogFileKind.MS_SWIFT]
)
def test_a_row_of_something_else_is_an_issue(kind: LogFileKind) -> None:
    found = converted(kind, {"model": "x", "seed": 3})
    assert found.events[1:] == ()
    ((number, issue),) = found.issues
    assert (number, issue.code) == (1, "unknown_row")
    assert "found other keys (model, seed); not read" in issue.message


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("./results/checkpoint-6802", "checkpoint-6802"),
        ("/mnt/d/workspace/x/checkpoint-900", "checkpoint-900"),
        ("C:\\Users\\someone\\checkpoint-9", "checkpoint-9"),
        ("output/dnabert2/checkpoint-800/", "checkpoint-800"),
        ("out/checkpoint-8", "checkpoint-8"),
        ("checkpoint-9", "checkpoint-9"),
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_only_the_folder_of_a_checkpoint_is_named(path: object, name: str | None) -> None:
    assert checkpoint_name(path) == name
