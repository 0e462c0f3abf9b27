"""Gradience's own configurations: the check's and a bench's."""

import pytest

from gradience.core.config.own_reader import bench_snapshot, gradience_snapshot
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from gradience.core.errors import ConfigError


def test_numbers_may_be_strings() -> None:
    assert gradience_snapshot({"optimizer": {"lr": "5e-5"}}, "check.yaml").optimizer.lr == 5e-5


def test_null_means_not_given() -> None:
    raw = {"lora": None, "task_profile": None, "optimizer": {"lr": None, "extras": None}}
    assert gradience_snapshot(raw, "check.yaml") == ConfigSnapshot()


def test_null_stays_a_value_within_extras_and_a_typo_a_typo() -> None:
    raw: dict[str, object] = {"training": {"extras": {"max_grad_norm": None}}}
    assert gradience_snapshot(raw, "check.yaml").training.extras == {"max_grad_norm": None}
    with pytest.raises(ConfigError, match="lrr"):
        gradience_snapshot({"optimizer": {"lrr": None}}, "check.yaml")


def test_a_bench_without_a_profile_says_nothing_of_it() -> None:
    raw = {"bench_version": "1", "task": {"profile": None}}
    assert bench_snapshot(raw, "bench.yaml") == ConfigSnapshot()


def test_a_bench_config_gives_its_probe() -> None:
    raw = {
        "model": {"name": "m", "torch_dtype": "bf16"},
        "task": {"dataset": "gsm8k", "profile": "hard_reasoning"},
        "train": {"learning_rate": "1e-4", "max_steps": 5, "batch_size": 16, "num_epochs": 2},
        "lora": {"probe_r": 32, "alpha": 64, "target_modules": ["q"]},
        "seed": 7,
    }
    assert bench_snapshot(raw, "bench.yaml") == ConfigSnapshot(
        model_name="m",
        dataset_name="gsm8k",
        task_profile=TaskProfile.HARD_REASONING,
        optimizer=OptimizerSnapshot(lr=1e-4),
        lora=LoraSnapshot(r=32, alpha=64.0, target_modules=("q",)),
        training=TrainingSnapshot(seed=7, batch_size=16, max_steps=5, epochs=2.0, dtype="bfloat16"),
        extras={"probe": True},
    )


def test_a_benchs_own_profile_is_kept_beside_an_unknown_one() -> None:
    raw = {"bench_version": "1", "task": {"profile": "seqcls_glue"}}
    found = bench_snapshot(raw, "bench.yaml")
    assert found.task_profile is TaskProfile.UNKNOWN
    assert found.extras == {"bench_profile": "seqcls_glue"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"optimizer": {"lr": "fast"}}, r"\$\.optimizer\.lr"),
        ({"optimizer": {"momentum": 1}}, r"momentum.*put it under 'extras'"),
        ({"lora": {"r": 10**400}}, r"lora\.r: expected at most 64 bits"),
        ({"extras": {"x": [1, {"y": 2**63}]}}, r"extras\.x\.y: expected at most 64 bits"),
        ({"task_profile": "poetry"}, r"Invalid enum value 'poetry'"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_path(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c\.json: .*{words}"):
        gradience_snapshot(raw, "c.json")
