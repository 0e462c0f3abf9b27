"""What the Trainer's logs mean, by the names of their keys."""

import pytest

from gradience.core.telemetry.trainer_logs import (
    LogKind,
    log_kind,
    public_name,
    split_metrics,
)


@pytest.mark.parametrize(
    ("logs", "kind"),
    [
        ({"loss": 1.0, "learning_rate": 1e-4, "epoch": 0.1}, LogKind.TRAIN_STEP),
        ({"eval_loss": 1.0, "eval_runtime": 2.0, "epoch": 1.0}, LogKind.EVALUATION),
        ({"eval_g0_loss": 1.0, "eval_g0_runtime": 2.0}, LogKind.EVALUATION),
        ({"train_runtime": 9.0, "train_loss": 1.0, "total_flos": 1e9}, LogKind.SUMMARY),
        ({"loss_control": 0.3, "malicious_ratio": 0.1}, LogKind.TRAIN_STEP),
        ({"loss": 0.0, "eval_runtime": 1.0}, LogKind.TRAIN_STEP),
    ],
)
def test_kind_of_a_log(logs: dict[str, object], kind: LogKind) -> None:
    assert log_kind(logs) is kind


@pytest.mark.parametrize(
    ("metrics", "split", "expected"),
    [
        ({"eval_loss": 1.0, "eval_runtime": 2.0}, "eval", {"loss": 1.0, "runtime": 2.0}),
        (
            {"eval_g0_loss": 1.0, "eval_g0_runtime": 2.0, "epoch": 3.0},
            "g0",
            {"loss": 1.0, "runtime": 2.0, "epoch": 3.0},
        ),
        ({"test_loss": 1.0, "test_accuracy": 0.5}, "test", {"loss": 1.0, "accuracy": 0.5}),
        (
            {"eval_train_loss": 1.0, "eval_train_runtime": 1.0},
            "train",
            {"loss": 1.0, "runtime": 1.0},
        ),
        ({"accuracy": 0.5}, "eval", {"accuracy": 0.5}),
    ],
)
def test_split_is_named_by_the_prefix(
    metrics: dict[str, object], split: str, expected: dict[str, object]
) -> None:
    assert split_metrics(metrics) == (split, expected)


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("gpt2", "gpt2"),
        ("meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B"),
        ("/home/somebody/models/base", "base"),
        ("./base/", "base"),
        ("~/base", "base"),
        ("C:\\Users\\somebody\\base", "base"),
        ("runs/somebody/base", "base"),
        ("", None),
        (None, None),
    ],
)
def test_of_a_path_only_its_end_is_public(name: str | None, public: str | None) -> None:
    assert public_name(name) == public


def test_an_evaluation_of_the_training_set_is_no_summary() -> None:
    speeds = {"train_runtime": 1.0, "train_loss": 2.0, "train_steps_per_second": 3.0}
    assert log_kind({**speeds, "total_flos": 1.0}) is LogKind.SUMMARY
    assert log_kind(speeds) is LogKind.SUMMARY
    assert log_kind({**speeds, "train_accuracy": 0.5}) is LogKind.EVALUATION
