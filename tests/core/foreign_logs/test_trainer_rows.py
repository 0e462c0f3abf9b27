"""What the Trainer's rows say."""

import math
from collections.abc import Mapping

import pytest

from gradience.core.foreign_logs.trainer_rows import TRAIN_SUMMARY, RowEvents, read_trainer_row
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.events import Eval, KnownEvent, Metrics, TrainStep

BUILDER = EventBuilder(run_id="r")


def read(row: Mapping[str, object]) -> RowEvents:
    return read_trainer_row(row, BUILDER, 0.0)


def only(row: Mapping[str, object]) -> KnownEvent:
    read_row = read(row)
    assert read_row.issues == ()
    (event,) = read_row.events
    return event


def evals(row: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    return {event.split: event.metrics for event in read(row).events if isinstance(event, Eval)}


def test_a_training_step() -> None:
    row = {"step": 10, "epoch": 0.5, "loss": 2.5, "learning_rate": 1e-4, "grad_norm": math.inf}
    event = only(row)
    assert isinstance(event, TrainStep)
    assert (event.step, event.epoch, event.loss, event.lr) == (10, 0.5, 2.5, 1e-4)
    assert event.grad_norm == math.inf
    assert event.extras == {}


def test_an_integer_rate_is_the_same_number() -> None:
    event = only({"step": 1, "loss": 1, "learning_rate": 5})
    assert isinstance(event, TrainStep)
    assert (event.loss, event.lr) == (1.0, 5.0)


def test_rates_per_group_are_kept() -> None:
    event = only({"step": 1, "learning_rate": [1e-4, 2e-4]})
    assert isinstance(event, TrainStep)
    assert event.lr == (1e-4, 2e-4)


def test_metrics_of_preference_and_reinforcement_learning_are_extras() -> None:
    names = {"rewards/margins": 0.1, "logps/chosen": -90.0, "kl": 0.0, "completions/mean_length": 3}
    event = only({"step": 1, "loss": -0.16, **names})
    assert isinstance(event, TrainStep)
    assert (event.loss, event.extras) == (-0.16, names)


def test_a_row_without_loss_is_a_training_step() -> None:
    event = only({"step": 0, "epoch": 0.0, "loss_control": 0.7, "malicious_ratio": 0.5})
    assert isinstance(event, TrainStep)
    assert event.loss is None
    assert event.extras == {"loss_control": 0.7, "malicious_ratio": 0.5}


def test_a_null_is_not_logged() -> None:
    event = only({"step": 1, "loss": None, "learning_rate": None, "lr": 1e-4})
    assert isinstance(event, TrainStep)
    assert (event.loss, event.lr, event.extras) == (None, 1e-4, {})


def test_an_evaluation_loses_its_prefix_and_keeps_its_epoch() -> None:
    row = {
        "step": 0,
        "epoch": 0.0,
        "eval_loss": math.nan,
        "eval_runtime": 2.0,
        "eval_f1_Sci/Tech": 0.5,
    }
    event = only(row)
    assert isinstance(event, Eval)
    assert (event.step, event.split) == (0, "eval")
    assert math.isnan(float(str(event.metrics["loss"])))
    assert set(event.metrics) == {"epoch", "loss", "runtime", "f1_Sci/Tech"}


def test_each_evaluation_set_is_a_split() -> None:
    row = {"step": 1, "eval_g0_loss": 0.5, "eval_g0_runtime": 2.0, "eval_g0_accuracy": 0.9}
    assert evals(row) == {"g0": {"loss": 0.5, "runtime": 2.0, "accuracy": 0.9}}


def test_several_sets_in_one_row_are_told_by_their_longest_prefix() -> None:
    row = {"eval_a_loss": 1.0, "eval_a_runtime": 1.0, "eval_a_b_loss": 2.0, "eval_a_b_runtime": 1.0}
    assert evals(row) == {
        "a": {"loss": 1.0, "runtime": 1.0},
        "a_b": {"loss": 2.0, "runtime": 1.0},
    }


def test_sets_without_run_times_are_told_by_their_losses() -> None:
    assert evals({"step": 1, "eval_a_loss": 1.0, "eval_b_loss": 2.0, "eval_b_acc": 0.5}) == {
        "a": {"loss": 1.0},
        "b": {"loss": 2.0, "acc": 0.5},
    }


def test_a_metric_that_ends_in_loss_makes_no_set_beside_the_loss() -> None:
    assert evals({"eval_loss": 1.0, "eval_contrastive_loss": 2.0}) == {
        "eval": {"loss": 1.0, "contrastive_loss": 2.0}
    }


@pytest.mark.parametrize("prefix", ["test", "predict", "val"])
def test_other_held_out_prefixes_are_splits(prefix: str) -> None:
    row = {"step": 9, f"{prefix}_loss": 1.0, f"{prefix}_wer": 0.25, "epoch": 2.0}
    assert evals(row) == {prefix: {"epoch": 2.0, "loss": 1.0, "wer": 0.25}}


def test_a_prefix_of_its_own_is_told_by_its_speed() -> None:
    row = {"holdout_accuracy": 0.5, "holdout_runtime": 1.0, "holdout_samples_per_second": 9.0}
    assert set(evals(row)) == {"holdout"}


@pytest.mark.parametrize(
    "extras",
    [
        {"aux_loss": 0.1},
        {"valid_tokens": 12},
        {"step_runtime": 0.3},
        {"test_mode": 1},
        {"evaluated": 1},
    ],
)
def test_a_training_step_may_log_names_like_those(extras: Mapping[str, object]) -> None:
    event = only({"step": 1, "loss": 1.0, **extras})
    assert isinstance(event, TrainStep)
    assert event.extras == extras


def test_train_and_eval_keys_in_one_row_are_two_events() -> None:
    row = {"step": 5, "epoch": 1.0, "loss": 0.5, "kl": 0.1, "eval_loss": 0.75, "eval_acc": 0.5}
    train, held_out = read(row).events
    assert isinstance(train, TrainStep)
    assert isinstance(held_out, Eval)
    assert (train.loss, train.epoch, train.extras) == (0.5, 1.0, {"kl": 0.1})
    assert held_out.metrics == {"epoch": 1.0, "loss": 0.75, "acc": 0.5}
    assert (train.step, held_out.step) == (5, 5)


def test_the_closing_summary_is_metrics() -> None:
    row = {
        "step": 70,
        "epoch": 2.0,
        "total_flos": 1.5e15,
        "train_loss": 0.5,
        "train_runtime": 12.0,
        "train_steps_per_second": 5.8,
    }
    event = only(row)
    assert isinstance(event, Metrics)
    assert (event.kind, event.step) == (TRAIN_SUMMARY, 70)
    assert event.metrics == {key: row[key] for key in row if key != "step"}


@pytest.mark.parametrize(
    "told", [{"train_accuracy": 0.5}, {"train_model_preparation_time": 0.002}, {"train_f1": 0.4}]
)
def test_an_evaluation_of_the_training_set_is_no_summary(told: Mapping[str, object]) -> None:
    speed = {"train_runtime": 2.0, "train_samples_per_second": 9.0, "train_steps_per_second": 1.0}
    row = {"step": 10, "epoch": 1.0, "train_loss": 1.5, **told, **speed}
    (event,) = read(row).events
    assert isinstance(event, Eval)
    assert (event.step, event.split, event.metrics["loss"]) == (10, "train", 1.5)
    assert {f"train_{key}" for key in event.metrics} >= set(told)


def test_a_summary_may_hold_metrics_of_its_own_beside_its_operations() -> None:
    row = {"step": 9, "train_runtime": 2.0, "train_loss": 1.0, "train_x": 1, "total_flos": 1e9}
    event = only(row)
    assert isinstance(event, Metrics)
    assert event.kind == TRAIN_SUMMARY


def test_an_empty_row_is_an_issue() -> None:
    events, (issue,) = read({})
    assert events == ()
    assert issue.message == "expected logged values, found an empty row"


@pytest.mark.parametrize("odd", ["n/a", [1], {"a": 1}, True])
def test_a_loss_that_is_no_number_is_kept_beside_and_named(odd: object) -> None:
    (event,), (issue,) = read({"step": 1, "loss": odd})
    assert isinstance(event, TrainStep)
    assert (event.loss, event.extras) == (None, {"extra_loss": odd})
    words = f"expected a number under 'loss', found {type(odd).__name__}; kept under extras"
    assert issue.message == words


@pytest.mark.parametrize("odd", [1.5, "one", True, 2**70])
def test_a_step_that_is_no_integer_is_kept_beside_and_named(odd: object) -> None:
    (event,), (issue,) = read({"step": odd, "loss": 1.0})
    assert isinstance(event, TrainStep)
    assert (event.step, event.extras) == (None, {"extra_step": odd})
    assert "expected an integer under 'step'" in issue.message


def test_an_evaluation_keeps_an_odd_step_among_its_metrics() -> None:
    (event,), (issue,) = read({"step": "late", "eval_loss": 1.0})
    assert isinstance(event, Eval)
    assert event.metrics == {"step": "late", "loss": 1.0}
    assert issue.code == "odd_value"


def test_a_whole_float_is_a_step() -> None:
    assert only({"step": 10.0, "loss": 1.0}).step == 10


def test_names_that_the_record_needs_get_a_prefix() -> None:
    taken = {"ts": 1, "run_id": "x", "event": "y", "schema": "z", "nonfinite": 2, "lr": 3.0}
    event = only({"step": 1, "learning_rate": 1e-4, **taken})
    assert isinstance(event, TrainStep)
    assert event.extras == {f"extra_{key}": value for key, value in taken.items()}


def test_names_that_two_prefixes_lead_to_keep_both_values() -> None:
    assert evals({"eval_loss": 1.0, "eval/loss": 2.0}) == {"eval": {"loss": 1.0, "eval/loss": 2.0}}
