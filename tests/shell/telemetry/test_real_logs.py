"""Every real log is read to the last number, against a plain reading of its JSON."""

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from gradience.core.telemetry.events import AnyEvent, Eval, Metrics, RunEnd, RunStart, TrainStep
from gradience.shell.telemetry.run_log import open_run_log
from tests.shared_data import DATA, SHARED, needs_shared_data

Row = Mapping[str, object]

FOREIGN = DATA / "foreign_logs"
SHIPPED_STATES = sorted(FOREIGN.glob("*.trainer_state.json"))
STATES = sorted([*SHARED.glob("**/trainer_state.json"), *SHARED.glob("**/training_logs.json")])
SHIPPED_LLAMA = FOREIGN / "llama_factory.trainer_log.jsonl"
LLAMA_LOGS = sorted(SHARED.glob("other_logs/*/trainer_log.jsonl"))
PEFT_RESULTS = sorted(SHARED.glob("other_logs/peft_method_results/*.json"))


def read(path: Path) -> list[AnyEvent]:
    log = open_run_log(path)
    events = list(log.iter_events())
    assert log.issues == ()
    return events


def row_of(event: AnyEvent) -> dict[str, object]:
    """The row of a log_history that an event was made of, prefixes put back."""
    if isinstance(event, TrainStep):
        hot = {"loss": event.loss, "learning_rate": event.lr, "grad_norm": event.grad_norm}
        known = {**hot, "epoch": event.epoch}
        logged = {key: value for key, value in known.items() if value is not None}
        return {**logged, **event.extras, "step": event.step}
    assert isinstance(event, Eval | Metrics)
    if isinstance(event, Metrics):
        return {**event.metrics, "step": event.step}
    prefix = "eval_" if event.split == "eval" else f"eval_{event.split}_"
    named = {prefix + key: value for key, value in event.metrics.items() if key != "epoch"}
    return {**named, "epoch": event.metrics["epoch"], "step": event.step}


def exact(row: Row) -> dict[str, str]:
    """A row with each number to its last bit; an integer equals the float of its value."""
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
    assert len(numbers) == len(row)
    return {key: float(value).hex() for key, value in numbers.items()}


def assert_reads_to_the_last_number(path: Path) -> None:
    state = json.loads(path.read_text("utf-8"))
    start, *events = read(path)
    if events and isinstance(events[-1], RunEnd):
        closed = bool(state["log_history"]) and "train_runtime" in state["log_history"][-1]
        assert closed or state["global_step"] >= state["max_steps"]
        events.pop()
    else:
        assert state["global_step"] < state["max_steps"]
    assert len(events) == len(state["log_history"])
    for event, row in zip(events, state["log_history"], strict=True):
        assert exact(row_of(event)) == exact(row)
    assert isinstance(start, RunStart)
    assert start.config.training.max_steps == state["max_steps"]
    assert start.config.training.epochs == state["num_train_epochs"]


def counts(path: Path) -> tuple[int, int, int, int]:
    """Training steps, evaluations, summaries and numbers that are not finite."""
    events = read(path)
    nonfinite = sum(
        isinstance(value, float) and not math.isfinite(value)
        for event in events[1:]
        if isinstance(event, TrainStep | Eval | Metrics)
        for value in row_of(event).values()
    )
    kinds = (TrainStep, Eval, Metrics)
    n_train, n_evals, n_metrics = (sum(isinstance(e, kind) for e in events) for kind in kinds)
    return n_train, n_evals, n_metrics, nonfinite


@pytest.mark.parametrize("path", SHIPPED_STATES, ids=lambda path: path.stem)
def test_a_shipped_trainer_state(path: Path) -> None:
    assert_reads_to_the_last_number(path)


@needs_shared_data
@pytest.mark.parametrize(
    "path", STATES, ids=lambda path: f"{path.parent.parent.stem}-{path.parent.name}"
)
def test_every_trainer_state(path: Path) -> None:
    assert_reads_to_the_last_number(path)


@needs_shared_data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("whisper_overfit", (200, 5, 1, 0)),
        ("eval_loss_nan", (87, 7, 0, 7)),
        ("grad_norm_infinity", (70, 0, 1, 1)),
        ("multi_eval_sets", (30, 186, 0, 0)),
        ("flan_t5_custom_metrics", (72, 0, 0, 0)),
        ("vlm_sft_resumed_lr_jump", (2700, 0, 0, 0)),
        ("eval_only_one", (0, 1, 0, 0)),
        ("empty_log_history", (0, 0, 0, 0)),
        ("trl_grpo_unsloth", (250, 0, 0, 0)),
        ("mt5_high_start", (700, 70, 0, 0)),
    ],
)
def test_real_states_by_the_numbers(name: str, expected: tuple[int, int, int, int]) -> None:
    assert counts(SHARED / "trainer_state" / name / "trainer_state.json") == expected


def test_the_splits_of_several_evaluation_sets() -> None:
    events = read(FOREIGN / "multi_eval_sets.trainer_state.json")
    splits = [event.split for event in events if isinstance(event, Eval)]
    assert {split: splits.count(split) for split in splits} == {f"g{n}": 31 for n in range(6)}
    first = next(event for event in events if isinstance(event, Eval))
    assert first.step == 0


def assert_reads_llama_factory(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    start, *events = read(path)
    if rows[-1]["current_steps"] == rows[-1]["total_steps"]:
        assert isinstance(events.pop(), RunEnd)
    assert len(events) == len(rows)
    for event, row in zip(events, rows, strict=True):
        assert isinstance(event, TrainStep | Eval)
        assert event.step == row["current_steps"]
        if isinstance(event, Eval):
            assert (event.metrics["loss"], event.metrics["epoch"]) == (
                row["eval_loss"],
                row["epoch"],
            )
        else:
            assert (event.loss, event.lr, event.epoch) == (
                row.get("loss"),
                row.get("lr"),
                row.get("epoch"),
            )
            assert event.extras["percentage"] == row["percentage"]
        hours, minutes, seconds = map(int, row["elapsed_time"].split(":"))
        assert event.ts == hours * 3600 + minutes * 60 + seconds
    assert isinstance(start, RunStart)
    assert start.config.training.max_steps == rows[0]["total_steps"]


def test_a_shipped_log_of_llama_factory() -> None:
    assert_reads_llama_factory(SHIPPED_LLAMA)
    assert counts(SHIPPED_LLAMA) == (91, 1, 0, 0)


@needs_shared_data
@pytest.mark.parametrize("path", LLAMA_LOGS, ids=lambda path: path.parent.name)
def test_every_log_of_llama_factory(path: Path) -> None:
    assert_reads_llama_factory(path)


@needs_shared_data
def test_repeated_and_backward_steps_of_two_processes_are_kept() -> None:
    path = SHARED / "other_logs" / "llamafactory_trainer_log_duplicated" / "trainer_log.jsonl"
    steps = [event.step for event in read(path)[1:] if isinstance(event, TrainStep)]
    backward = sum(after < before for before, after in pairwise(steps) if before and after)
    assert (len(steps), len(steps) - len(set(steps)), backward) == (1360, 703, 416)


@needs_shared_data
@pytest.mark.parametrize("path", PEFT_RESULTS, ids=lambda path: path.stem)
def test_every_result_of_peft(path: Path) -> None:
    rows = json.loads(path.read_text("utf-8"))["train_info"]["metrics"]
    events = read(path)
    losses = [event.loss for event in events if isinstance(event, TrainStep)]
    accuracies = [event.metrics["accuracy"] for event in events if isinstance(event, Eval)]
    assert losses == [row["train loss"] for row in rows if "valid accuracy" in row]
    assert accuracies == [row.get("valid accuracy", row.get("test accuracy")) for row in rows]


@needs_shared_data
def test_the_real_logs_are_all_there() -> None:
    assert (len(STATES), len(LLAMA_LOGS), len(PEFT_RESULTS)) == (43, 3, 2)
