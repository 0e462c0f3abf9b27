"""Laws of reading foreign configurations, and of the defaults that reading fills in."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from gradience.core.config.defaults import with_defaults
from gradience.core.config.foreign import REFUSED, config_kind
from gradience.core.config.leaves import from_leaves, leaves, marks
from gradience.core.config.overlay import overlay, with_ratio
from gradience.core.config.readers import read_config
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TrainingSnapshot,
)
from gradience.core.errors import GradienceError

KEYS = (
    "model_name_or_path base_model model adapter peft_type finetuning_type stage tuner_type "
    "quant_bits quantization_bit load_in_4bit use_peft lora_r lora_rank lora_alpha lora_target "
    "lora_target_modules target_modules learning_rate per_device_train_batch_size batch_size "
    "micro_batch_size gradient_accumulation_steps num_train_epochs epochs max_steps "
    "max_steps_per_epoch max_grad_norm clip_grad_norm bf16 fp16 dtype rl datasets dataset "
    "dataset_mixer dataset_mixture optimizer loss quantizer lora training data lora_parameters "
    "lr_schedule optimizer_config iters peft_config quant_config wandb_version peft "
    "bnb_config_kwargs pretraining_dataset rank scale lr r alpha keys _component_ value default "
    "lora_attn_modules init_weights loss_type beta num_generations eval_strategy val_set_size"
).split()

WORDS = st.sampled_from(
    "auto all q_proj,v_proj 1e-4 true ${a} ${model.lr} lora qlora full dpo nan -1 4 LORA "
    "/home/ann/m $X x.lora_y .*q".split()
)

VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)

FOREIGN: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(KEYS), VALUES, min_size=1, max_size=10
)

RATES = st.none() | st.sampled_from([1e-4, 2e-5])

SMALL = st.builds(
    ConfigSnapshot,
    optimizer=st.builds(OptimizerSnapshot, lr=RATES),
    lora=st.builds(
        LoraSnapshot,
        r=st.none() | st.sampled_from([0, 4, 8]),
        alpha=st.none() | st.sampled_from([8.0, 16.0]),
        alpha_over_r=st.none() | st.just(2.0),
    ),
    training=st.builds(
        TrainingSnapshot,
        extras=st.dictionaries(st.just("max_grad_norm"), st.none() | st.just(0.3)),
    ),
    extras=st.dictionaries(st.just("finetuning"), st.sampled_from(["full", "lora"])),
)
"""Configurations that differ in what the laws of defaults are about."""

DEFAULTS = st.fixed_dictionaries(
    {},
    optional={
        "optimizer.lr": st.sampled_from([5e-5, 1e-6]),
        "training.extras.max_grad_norm": st.none() | st.just(1.0),
        "lora.r": st.just(16),
        "lora.alpha": st.just(32.0),
        "lora.alpha_over_r": st.just(4.0),
        "extras.finetuning": st.sampled_from(["full", "lora"]),
    },
)


def consistent(config: ConfigSnapshot) -> bool:
    """No reader says both: everything is trained by default, and here is the adapter."""
    by_default = "extras.finetuning" in marks(config)
    return not (by_default and config.lora.r is not None)


FILLED_IN = st.builds(with_defaults, SMALL, DEFAULTS, st.sampled_from(["TRL", "Axolotl"])).filter(
    consistent
)
"""Configurations of which some values are a tool's own."""


@given(FOREIGN)
def test_any_mapping_is_read_or_refused_in_words_and_never_changed(raw: dict[str, object]) -> None:
    before = repr(raw)
    try:
        found = read_config(raw, "c.yaml")
    except GradienceError as error:
        assert str(error).startswith("c.yaml: ")
    else:
        assert config_kind(raw) not in REFUSED
        assert repr(with_ratio(with_ratio(found))) == repr(with_ratio(found))
    assert repr(raw) == before


@given(FOREIGN)
def test_what_is_marked_as_a_default_is_there(raw: dict[str, object]) -> None:
    try:
        found = with_ratio(read_config(raw, "c.yaml"))
    except GradienceError:
        return
    said = {".".join(leaf) for leaf in leaves(found)}
    assert marks(found).keys() <= said


@given(FILLED_IN)
def test_a_configuration_is_its_leaves_and_marks(config: ConfigSnapshot) -> None:
    assert from_leaves(leaves(config), marks(config)) == config


@given(FILLED_IN)
def test_an_empty_config_changes_no_defaults(config: ConfigSnapshot) -> None:
    assert overlay(config, ConfigSnapshot()) == config
    assert overlay(ConfigSnapshot(), config) == config


@given(FILLED_IN, FILLED_IN)
def test_a_given_value_beats_a_default_in_either_order(
    low: ConfigSnapshot, high: ConfigSnapshot
) -> None:
    merged = overlay(low, high)
    lr = chosen("optimizer.lr", low.optimizer.lr, high.optimizer.lr, marks(low), marks(high))
    assert repr(merged.optimizer.lr) == repr(lr)
    both = [config for config in (low, high) if config.optimizer.lr is not None]
    all_default = bool(both) and all("optimizer.lr" in marks(config) for config in both)
    assert ("optimizer.lr" in marks(merged)) is all_default


def chosen(
    name: str,
    below: float | None,
    above: float | None,
    low: Mapping[str, str],
    high: Mapping[str, str],
) -> float | None:
    """The rule in other words: above wins, but a default above does not beat a given below."""
    if above is None or (name in high and below is not None and name not in low):
        return below
    return above


@given(FILLED_IN, FILLED_IN, FILLED_IN)
def test_three_configs_with_defaults_may_be_joined_from_either_end(
    low: ConfigSnapshot, middle: ConfigSnapshot, high: ConfigSnapshot
) -> None:
    assert overlay(low, overlay(middle, high)) == overlay(overlay(low, middle), high)
