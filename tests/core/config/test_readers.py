"""Every kind of configuration becomes one snapshot; what does not fit is named by its path."""

import pytest

from gradience.core.config.readers import overlay, read_config, with_ratio
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from gradience.core.errors import ConfigError


def test_a_peft_config_gives_the_adapter() -> None:
    raw = {
        "peft_type": "LORA",
        "r": 16,
        "lora_alpha": 32,
        "target_modules": ["q_proj"],
        "use_rslora": True,
        "rank_pattern": {},
        "base_model_name_or_path": "m",
    }
    found = read_config(raw, "adapter_config.json")
    assert found.model_name == "m"
    assert (found.lora.r, found.lora.alpha, found.lora.alpha_over_r) == (16, 32.0, 2.0)
    assert found.lora.target_modules == ("q_proj",)
    assert found.lora.extras["use_rslora"] is True
    assert found.lora.extras["rank_pattern"] == {}
    assert "task_type" not in found.lora.extras


def test_what_is_off_above_is_off() -> None:
    below = {"peft_type": "LORA", "use_rslora": True, "rank_pattern": {"q": 2}}
    above = {"peft_type": "LORA", "use_rslora": False, "rank_pattern": {}}
    found = overlay(read_config(below, "peft"), read_config(above, "config")).lora
    assert (found.extras["use_rslora"], found.extras["rank_pattern"]) == (False, {})


def test_a_peft_type_without_ranks_keeps_its_name_and_claims_no_rank() -> None:
    found = read_config({"peft_type": "IA3"}, "adapter_config.json")
    assert found == ConfigSnapshot(extras={"peft_type": "IA3"})


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
    }
    assert read_config(raw, "training_args.json") == ConfigSnapshot(
        optimizer=OptimizerSnapshot(name="adamw_torch", lr=2e-4, betas=(0.9, 0.999)),
        training=TrainingSnapshot(batch_size=4, dtype="bfloat16", extras={"max_grad_norm": 1.0}),
    )


def test_no_clipping_is_told_apart_from_nothing_said() -> None:
    raw = {"adam_beta1": 0.9, "max_grad_norm": None, "eval_steps": None}
    assert read_config(raw, "training_args.json").training.extras == {"max_grad_norm": None}


@pytest.mark.parametrize(("flags", "dtype"), [({"fp16": True}, "float16"), ({}, None)])
def test_the_precision_is_read_or_unknown(flags: dict[str, object], dtype: str | None) -> None:
    raw = {"per_device_train_batch_size": 1, **flags}
    assert read_config(raw, "training_args.json").training.dtype == dtype


def test_gradiences_own_numbers_may_be_strings() -> None:
    assert read_config({"optimizer": {"lr": "5e-5"}}, "check.yaml").optimizer.lr == 5e-5


def test_null_in_gradiences_own_config_means_not_given() -> None:
    raw = {"lora": None, "task_profile": None, "optimizer": {"lr": None, "extras": None}}
    assert read_config(raw, "check.yaml") == ConfigSnapshot()


def test_null_stays_a_value_within_extras_and_a_typo_a_typo() -> None:
    raw: dict[str, object] = {"training": {"extras": {"max_grad_norm": None}}}
    assert read_config(raw, "check.yaml").training.extras == {"max_grad_norm": None}
    with pytest.raises(ConfigError, match="lrr"):
        read_config({"optimizer": {"lrr": None}}, "check.yaml")


def test_a_bench_without_a_profile_says_nothing_of_it() -> None:
    raw = {"bench_version": "1", "task": {"profile": None}}
    assert read_config(raw, "bench.yaml") == ConfigSnapshot()


def test_a_bench_config_gives_its_probe() -> None:
    raw = {
        "model": {"name": "m", "torch_dtype": "bfloat16"},
        "task": {"dataset": "gsm8k", "profile": "hard_reasoning"},
        "train": {"learning_rate": 1e-4, "max_steps": 5},
        "lora": {"probe_r": 32, "alpha": 64, "target_modules": ["q"]},
        "seed": 7,
    }
    assert read_config(raw, "bench.yaml") == ConfigSnapshot(
        model_name="m",
        dataset_name="gsm8k",
        task_profile=TaskProfile.HARD_REASONING,
        optimizer=OptimizerSnapshot(lr=1e-4),
        lora=LoraSnapshot(r=32, alpha=64.0, target_modules=("q",)),
        training=TrainingSnapshot(seed=7, max_steps=5, dtype="bfloat16"),
    )


def test_a_benchs_own_profile_is_kept_beside_an_unknown_one() -> None:
    raw = {"bench_version": "1", "task": {"profile": "seqcls_glue"}}
    found = read_config(raw, "bench.yaml")
    assert found.task_profile is TaskProfile.UNKNOWN
    assert found.extras == {"bench_profile": "seqcls_glue"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"base_model": "m", "adapter": "lora"}, "found an Axolotl config"),
        ({"finetuning_type": "lora"}, "found a LLaMA-Factory config"),
        ({"model": {"_component_": "x"}}, "found a torchtune config"),
        ({"model_name_or_path": "m", "use_peft": True}, "found a TRL"),
        ({"colour": 1}, "found a configuration of an unknown layout"),
    ],
)
def test_other_tools_are_refused_by_name(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c\.yaml: expected .*{words}.*flags \(--lr"):
        read_config(raw, "c.yaml")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"peft_type": 3}, r"string under 'peft_type', found 3"),
        ({"peft_type": "LORA", "r": 0}, r"ranks of at least 1"),
        ({"peft_type": "LORA", "r": "many"}, r"adapter_config\.r"),
        ({"adam_beta1": 0.9, "learning_rate": [1]}, r"training_args\.learning_rate"),
        ({"optimizer": {"lr": "fast"}}, r"\$\.optimizer\.lr"),
        ({"optimizer": {"momentum": 1}}, r"momentum.*put it under 'extras'"),
        ({"task_profile": "poetry"}, r"Invalid enum value 'poetry'"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_path(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c\.json: .*{words}"):
        read_config(raw, "c.json")


def test_the_upper_config_wins_and_extras_are_merged() -> None:
    base = ConfigSnapshot(lora=LoraSnapshot(r=8, alpha=16, extras={"a": 1, "b": 1}), notes="n")
    over = ConfigSnapshot(lora=LoraSnapshot(r=4, extras={"b": 2}))
    assert overlay(base, over) == ConfigSnapshot(
        lora=LoraSnapshot(r=4, alpha=16, extras={"a": 1, "b": 2}), notes="n"
    )


def test_the_ratio_follows_alpha_and_rank() -> None:
    config = ConfigSnapshot(lora=LoraSnapshot(r=4, alpha=16, alpha_over_r=1.0))
    assert with_ratio(config).lora.alpha_over_r == 4.0


def test_alpha_follows_the_ratio_where_it_is_not_given() -> None:
    found = with_ratio(ConfigSnapshot(lora=LoraSnapshot(r=4, alpha_over_r=2.0))).lora
    assert (found.alpha, found.alpha_over_r) == (8.0, 2.0)


def test_a_ratio_above_replaces_an_alpha_below() -> None:
    base = ConfigSnapshot(lora=LoraSnapshot(r=4, alpha=4.0, alpha_over_r=1.0))
    over = ConfigSnapshot(lora=LoraSnapshot(alpha_over_r=2.0))
    assert with_ratio(overlay(base, over)).lora.alpha == 8.0


@pytest.mark.parametrize(
    "lora", [LoraSnapshot(r=4), LoraSnapshot(r=0, alpha=1), LoraSnapshot(r=-4, alpha=1)]
)
def test_without_both_the_ratio_stays_as_it_was(lora: LoraSnapshot) -> None:
    assert with_ratio(ConfigSnapshot(lora=lora)).lora == lora
