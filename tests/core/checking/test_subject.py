"""A subject holds effective values, and nothing in it raises."""

import pytest

from gradience.core.adapter.module_names import ModuleType
from gradience.core.architecture.fit import ModelFit, ModuleFit
from gradience.core.checking.subject import Subject, subject_of
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    TaskProfile,
    TrainingSnapshot,
)


def module(name: str, r: int, alpha: float = 8) -> ModuleFit:
    return ModuleFit(
        name=name, in_features=8, out_features=8, r=r, alpha=alpha, scaling=alpha / r, params=1
    )


def with_lora(**lora: object) -> Subject:
    return subject_of(ConfigSnapshot(lora=LoraSnapshot(**lora)))  # type: ignore[arg-type]  # given


def with_training(**training: object) -> Subject:
    return subject_of(
        ConfigSnapshot(training=TrainingSnapshot(**training))  # type: ignore[arg-type]  # given
    )


def test_ranks_are_the_models_where_it_is_known() -> None:
    config = ConfigSnapshot(lora=LoraSnapshot(r=4, alpha=8, extras={"rank_pattern": {"x": 64}}))
    assert subject_of(config).module_ranks == (4.0, 64.0)
    known = subject_of(config, ModelFit(modules=(module("a", 4), module("b", 16))))
    assert known.module_ranks == (4.0, 16.0)
    assert known.max_rank == 16.0


def test_a_model_that_could_not_be_resolved_leaves_the_patterns() -> None:
    config = ConfigSnapshot(lora=LoraSnapshot(r=4, extras={"rank_pattern": {"x": 64}}))
    assert subject_of(config, ModelFit(reason="an unknown model")).max_rank == 64.0


def test_patterns_of_rank_and_alpha_meet_by_key() -> None:
    extras = {"rank_pattern": {"a": 16, "b": 2}, "alpha_pattern": {"a": 32, "c": 4}}
    subject = with_lora(r=8, alpha=16, extras=extras)
    assert subject.module_ratios == ((8.0, 16.0), (16.0, 32.0), (2.0, 16.0), (8.0, 4.0))
    assert subject.scalings == (2.0, 2.0, 8.0, 0.5)


def test_a_key_that_can_match_nothing_counts_for_nothing() -> None:
    extras = {"rank_pattern": {"k_proj": 512}, "alpha_pattern": {"^q_proj": 99}}
    subject = with_lora(r=8, alpha=16, target_modules=("q_proj",), extras=extras)
    assert subject.module_ranks == (8.0,)
    assert subject.scalings == (2.0,)


def test_the_scaling_of_a_module_respects_rslora() -> None:
    subject = with_lora(r=16, alpha=32, extras={"use_rslora": True})
    assert subject.scaling == 8.0
    assert subject.scalings == (8.0,)


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"batch_size": 2, "gradient_accumulation": 4}, 8.0),
        ({"batch_size": 2}, 2.0),
        ({"batch_size": 2, "extras": {"world_size": 8}}, 16.0),
        ({"batch_size": 2, "extras": {"world_size": 0}}, 2.0),
        ({"batch_size": 0}, None),
        ({"gradient_accumulation": 4}, None),
    ],
)
def test_the_effective_batch_multiplies_what_is_said(
    training: dict[str, object], expected: float | None
) -> None:
    assert with_training(**training).effective_batch == expected


def test_tokens_are_bounded_by_steps_batch_and_length() -> None:
    subject = with_training(batch_size=2, max_steps=10, extras={"max_length": 100})
    assert subject.most_tokens == 2000.0
    assert with_training(batch_size=2, max_steps=10).most_tokens is None


def test_what_is_adapted_is_told_by_names_or_by_the_model() -> None:
    assert with_lora(target_modules=("q_proj", "up_proj")).adapted_types == {
        ModuleType.ATTENTION,
        ModuleType.MLP,
    }
    config = ConfigSnapshot(lora=LoraSnapshot(target_modules=".*"))
    fit = ModelFit(modules=(module("layers.0.self_attn.q_proj", 8),))
    assert subject_of(config, fit).attention_only
    assert not subject_of(config).attention_only
    assert subject_of(config).adapted_names == ()


def test_one_plain_string_is_a_whole_name() -> None:
    assert with_lora(target_modules="classifier").whole_name == "classifier"
    assert with_lora(target_modules="all-linear").whole_name is None
    assert with_lora(target_modules=".*q").whole_name is None
    assert with_lora(target_modules="classifier").targets is None


def test_a_given_profile_decides_what_is_easy() -> None:
    lora = LoraSnapshot(extras={"task_type": "SEQ_CLS"})
    assert subject_of(ConfigSnapshot(lora=lora)).easy_task
    hard = ConfigSnapshot(lora=lora, task_profile=TaskProfile.HARD_REASONING)
    assert not subject_of(hard).easy_task


@pytest.mark.parametrize("name", ["glue", "nyu-mll/glue", "GLUE/sst2", "sst2"])
def test_glue_is_easy(name: str) -> None:
    assert subject_of(ConfigSnapshot(dataset_name=name)).easy_task


@pytest.mark.parametrize("name", ["gsm8k", "mygluestuff", None])
def test_other_data_are_not_known_to_be(name: str | None) -> None:
    assert not subject_of(ConfigSnapshot(dataset_name=name)).easy_task


def test_a_default_names_its_tool() -> None:
    extras = {"defaults": {"optimizer.lr": "TRL", "lora.r": 3}}
    subject = subject_of(ConfigSnapshot(extras=extras))
    assert subject.default_of("optimizer.lr") == "TRL"
    assert subject.default_of("lora.r") is None
    assert subject_of(ConfigSnapshot()).default_of("optimizer.lr") is None


@pytest.mark.parametrize(("kind", "base"), [("full", True), ("freeze", True), ("qlora", False)])
def test_full_fine_tuning_has_no_adapter(kind: str, *, base: bool) -> None:
    config = ConfigSnapshot(lora=LoraSnapshot(r=8), extras={"finetuning": kind})
    assert subject_of(config).trains_base is base
    assert subject_of(config).has_adapter is not base


def test_an_adapter_that_is_given_beats_a_default_of_full_fine_tuning() -> None:
    default = {"finetuning": "full", "defaults": {"extras.finetuning": "TRL"}}
    assert subject_of(ConfigSnapshot(extras=default)).trains_base
    assert not subject_of(ConfigSnapshot(lora=LoraSnapshot(r=8), extras=default)).trains_base


def test_a_rank_beyond_the_floats_is_none() -> None:
    assert with_lora(r=10**400, alpha=1).scaling is None
