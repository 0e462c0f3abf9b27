"""Hugging Face's TrainingArguments: what they say, and nothing filled in."""

import pytest

from gradience.core.config.snapshot import ConfigSnapshot, OptimizerSnapshot, TrainingSnapshot
from gradience.core.config.trainer_arguments import training_snapshot
from gradience.core.errors import ConfigError


def test_training_arguments_give_optimizer_and_training() -> None:
    raw = {
        "learning_rate": "2e-4",
        "per_device_train_batch_size": 4,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "optim": "adamw_torch",
        "max_steps": -1,
        "bf16": True,
        "max_grad_norm": 1.0,
        "output_dir": "secret",
        "hub_token": "secret",
    }
    assert training_snapshot(raw, "training_args.json") == ConfigSnapshot(
        optimizer=OptimizerSnapshot(name="adamw_torch", lr=2e-4, betas=(0.9, 0.999)),
        training=TrainingSnapshot(batch_size=4, dtype="bfloat16", extras={"max_grad_norm": 1.0}),
    )


def test_no_clipping_is_told_apart_from_nothing_said() -> None:
    raw = {"adam_beta1": 0.9, "max_grad_norm": None, "eval_steps": None}
    assert training_snapshot(raw, "training_args.json").training.extras == {"max_grad_norm": None}


@pytest.mark.parametrize(
    ("flags", "dtype"), [({"fp16": True}, "float16"), ({}, None), ({"bf16": False}, None)]
)
def test_the_precision_is_read_or_unknown(flags: dict[str, object], dtype: str | None) -> None:
    raw = {"per_device_train_batch_size": 1, **flags}
    assert training_snapshot(raw, "training_args.json").training.dtype == dtype


def test_older_names_are_read() -> None:
    raw = {"evaluation_strategy": "steps", "max_seq_length": 512}
    extras = training_snapshot(raw, "a.json").training.extras
    assert extras == {"eval_strategy": "steps", "max_length": 512, "objective": "sft"}


def test_members_of_enums_are_read_by_their_value() -> None:
    raw = {
        "optim": "OptimizerNames.ADAMW_TORCH",
        "lr_scheduler_type": "SchedulerType.COSINE",
        "evaluation_strategy": "IntervalStrategy.NO",
        "save_strategy": "SaveStrategy.EPOCH",
    }
    found = training_snapshot(raw, "a.json")
    assert found.optimizer.name == "adamw_torch"
    assert found.training.extras == {
        "lr_scheduler_type": "cosine",
        "eval_strategy": "no",
        "save_strategy": "epoch",
    }


def test_yamls_unquoted_no_is_a_strategy() -> None:
    raw = {"eval_strategy": False, "save_strategy": "epoch"}
    extras = training_snapshot(raw, "a.yaml").training.extras
    assert extras == {"eval_strategy": "no", "save_strategy": "epoch"}


def test_what_only_the_tool_can_work_out_is_named() -> None:
    assert training_snapshot({"learning_rate": "auto"}, "a").extras == {"unread": ["learning_rate"]}


def test_a_value_that_does_not_fit_is_named_by_its_path() -> None:
    with pytest.raises(ConfigError, match=r"^c\.json: training_args\.learning_rate: .*a list"):
        training_snapshot({"adam_beta1": 0.9, "learning_rate": [1]}, "c.json")
