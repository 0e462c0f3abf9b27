"""What trainer_state.json says of its run."""

import sys
from collections.abc import Mapping

import pytest

from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, TrainingSnapshot
from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.trainer_state import (
    convert_log_history,
    convert_trainer_state,
    trainer_head,
)
from tests.core.foreign_logs.rows_of_logs import gathered

STATE: Mapping[str, object] = {
    "best_global_step": 900,
    "best_metric": 0.25,
    "best_model_checkpoint": "/mnt/d/someone/out/checkpoint-900",
    "epoch": 2.5,
    "eval_steps": 50,
    "global_step": 950,
    "is_hyper_param_search": True,
    "is_local_process_zero": True,
    "log_history": [{"step": 10, "loss": 2.0}],
    "logging_steps": 0.1,
    "max_steps": 1200,
    "num_train_epochs": 3,
    "save_steps": 500,
    "total_flos": 1.5e15,
    "train_batch_size": 8,
    "trial_name": "someone's trial",
    "trial_params": {"learning_rate": 1e-4, "optimizer": "adam"},
}


def test_the_configuration_is_what_the_state_says() -> None:
    config = trainer_head(STATE).config
    assert config == ConfigSnapshot(
        training=TrainingSnapshot(
            max_steps=1200,
            epochs=3.0,
            extras={
                "train_batch_size": 8,
                "logging_steps": 0.1,
                "eval_steps": 50,
                "save_steps": 500,
            },
        )
    )


def test_the_meta_names_no_path_and_no_text() -> None:
    assert gathered(convert_trainer_state(STATE, "x")).start.meta == {
        "best_metric": 0.25,
        "best_global_step": 900,
        "global_step": 950,
        "epoch": 2.5,
        "total_flos": 1.5e15,
        "best_model_checkpoint": "checkpoint-900",
        "is_hyper_param_search": True,
        "trial_params": {"learning_rate": 1e-4},
        "converted_from": "trainer_state",
        "clock": "none",
    }


def test_what_is_known_from_elsewhere_stays() -> None:
    known = ConfigSnapshot(
        model_name="m", lora=LoraSnapshot(r=8), training=TrainingSnapshot(seed=1, max_steps=5)
    )
    config = trainer_head(STATE, known).config
    assert (config.model_name, config.lora.r, config.training.seed) == ("m", 8, 1)
    assert config.training.max_steps == 1200


@pytest.mark.parametrize("epochs", [sys.maxsize, 0, -1, None, "3", True, float("nan")])
def test_epochs_that_mean_no_number_are_unknown(epochs: object) -> None:
    assert trainer_head({**STATE, "num_train_epochs": epochs}).config.training.epochs is None


@pytest.mark.parametrize("steps", [0, -1, 1e30, 2**70, "5", None, [1]])
def test_max_steps_that_are_none_are_unknown(steps: object) -> None:
    start = gathered(convert_trainer_state({**STATE, "max_steps": steps}, "x")).start
    assert start.config.training.max_steps is None


def test_an_empty_history_is_a_run_without_rows() -> None:
    found = gathered(convert_trainer_state({"log_history": []}, "x"))
    assert len(found.events) == 1
    assert found.issues == ()


@pytest.mark.parametrize("history", [None, "rows", {"a": 1}, 3])
def test_a_history_that_is_no_list_is_refused(history: object) -> None:
    words = rf"x: expected a list of logged rows .* found {type(history).__name__}"
    with pytest.raises(TelemetryError, match=words):
        convert_trainer_state({"log_history": history}, "x")


def test_items_that_are_no_rows_are_issues_with_their_number() -> None:
    found = gathered(convert_log_history([{"step": 1, "loss": 1.0}, 7, None]))
    assert [(number, issue.message) for number, issue in found.issues] == [
        (2, "expected a mapping of logged values, found int; not read"),
        (3, "expected a mapping of logged values, found NoneType; not read"),
    ]
    assert found.start.meta["converted_from"] == "log_history"
