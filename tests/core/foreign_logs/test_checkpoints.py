"""Which run a checkpoint belongs to."""

import itertools
import json
import math
from pathlib import Path

import pytest

from gradience.core.foreign_logs.checkpoints import (
    PlacedState,
    RunGroup,
    common_rows,
    group_checkpoints,
    recorded_run_ids,
)
from tests.shared_data import SHARED, needs_shared_data


def state(*losses: float, max_steps: int = 100, step: int | None = None) -> dict[str, object]:
    rows = [{"step": n, "loss": loss} for n, loss in enumerate(losses, 1)]
    return {
        "log_history": rows,
        "max_steps": max_steps,
        "num_train_epochs": 3,
        "global_step": len(losses) if step is None else step,
    }


def group(**states: dict[str, object]) -> tuple[RunGroup, ...]:
    placed = [PlacedState(place, found) for place, found in states.items()]
    results = {group_checkpoints(order) for order in itertools.permutations(placed)}
    (found,) = results
    return found


def test_checkpoints_of_one_run_are_one_group() -> None:
    (run,) = group(c2=state(3.0, 2.0), c1=state(3.0), c3=state(3.0, 2.0, 1.0))
    assert run.places == ("c1", "c2", "c3")
    assert (run.latest, run.branch_of) == ("c3", None)
    assert run.reason == (
        "the histories of 3 checkpoints are the beginning of the 3 rows of c3, of the same "
        "planned length"
    )


def test_other_rows_are_another_run() -> None:
    first, second = group(a=state(3.0, 2.0), b=state(3.5, 2.0, 1.0))
    assert (first.places, second.places) == (("a",), ("b",))
    assert first.reason == "its history differs from the others' from the first row on"
    assert second.reason == "no other state has the same history"


def test_another_planned_length_is_another_run() -> None:
    first, second = group(a=state(3.0), b=state(3.0, 2.0, max_steps=200))
    assert first.reason == "no other state has its planned length (100 steps, 3 epochs)"
    assert second.branch_of is None


def test_a_common_beginning_is_a_branch() -> None:
    a, b = group(a=state(3.0, 2.0, 1.5), b=state(3.0, 2.0, 1.0, 0.5))
    assert (a.branch_of, b.branch_of) == ("b", None)
    assert a.reason == (
        "shares its first 2 rows with b and then differs: a branch, as a resume from a "
        "checkpoint writes that went another way"
    )


def test_nan_equals_nan() -> None:
    (run,) = group(a=state(3.0, math.nan), b=state(3.0, math.nan, 1.0))
    assert run.places == ("a", "b")


def test_nan_is_no_number() -> None:
    assert len(group(a=state(math.nan), b=state(1.0, 2.0))) == 2


def test_equal_states_are_one_run_by_their_step() -> None:
    (run,) = group(b=state(3.0, step=10), a=state(3.0, step=19))
    assert run.places == ("b", "a")
    assert run.latest == "a"


def test_a_state_without_rows_belongs_to_the_one_run_of_its_plan() -> None:
    (run,) = group(a=state(step=5), b=state(3.0))
    assert run.latest == "b"


def test_a_state_without_rows_belongs_to_neither_of_two() -> None:
    assert len(group(a=state(step=5), b=state(3.0), c=state(4.0))) == 3


def test_no_states_are_no_runs() -> None:
    assert group_checkpoints([]) == ()


@pytest.mark.parametrize("history", [None, 3, "x", [1, None], [{"a": [1]}], [[]]])
def test_anything_may_stand_in_a_history(history: object) -> None:
    (run,) = group_checkpoints([PlacedState("a", {"log_history": history})])
    assert run.places == ("a",)


def test_common_rows_end_where_a_key_or_type_differs() -> None:
    rows = [{"a": 1.0}, {"a": [1, 2]}]
    assert common_rows(rows, [{"a": 1.0}, {"a": [1, 2]}]) == 2
    assert common_rows(rows, [{"a": 1.0}, {"a": [1, 3]}]) == 1
    assert common_rows(rows, [{"a": 1.0, "b": 2}]) == 0
    assert common_rows(rows, [{"a": True}]) == 0


def test_the_state_beside_the_finished_model_stands_for_its_equal_checkpoint() -> None:
    places = {
        "out/checkpoint-2/s": state(3.0, 2.0),
        "out/s": state(3.0, 2.0),
        "out/c/1": state(3.0),
    }
    (run,) = group(**places)
    assert run.latest == "out/s"
    assert run.places == ("out/c/1", "out/checkpoint-2/s", "out/s")


@pytest.mark.parametrize(
    ("callbacks", "ids"),
    [
        ({"gradience": {"run.jsonl": "a", "other.jsonl": "b"}}, {"a", "b"}),
        ({"gradience": {"run.jsonl": 3}}, set()),
        ({"gradience": "a", "EarlyStoppingCallback": {"args": {}}}, set()),
        ([], set()),
        (None, set()),
    ],
)
def test_the_ids_of_the_recordings_of_a_state(callbacks: object, ids: set[str]) -> None:
    assert recorded_run_ids({"stateful_callbacks": callbacks}) == ids


def real(folder: Path) -> tuple[RunGroup, ...]:
    paths = sorted(folder.glob("checkpoint-*/trainer_state.json"))
    return group_checkpoints(
        [PlacedState(path.parent.name, json.loads(path.read_text("utf-8"))) for path in paths]
    )


@needs_shared_data
def test_a_results_folder_holds_three_runs() -> None:
    runs = real(SHARED / "trainer_state" / "results_dir_with_several_runs" / "results")
    assert [run.places for run in runs] == [
        ("checkpoint-500", "checkpoint-1000"),
        ("checkpoint-1220",),
        ("checkpoint-1500",),
    ]
    assert {run.branch_of for run in runs} == {None}


@needs_shared_data
def test_a_folder_of_one_adapter_holds_three_runs() -> None:
    runs = real(SHARED / "adapters" / "gpt2_ckpts_mixed_targets")
    assert [run.latest for run in runs] == ["checkpoint-1000", "checkpoint-500", "checkpoint-7500"]


@needs_shared_data
def test_two_checkpoints_of_one_run_are_one() -> None:
    (run,) = real(SHARED / "adapters" / "roberta_r2_query_ckpts")
    assert run.places == ("checkpoint-500", "checkpoint-2400")
