"""Laying over: upper beats lower, given beats default, and full by default yields to an adapter."""

import pytest

from gradience.core.config.defaults import default_source, with_defaults
from gradience.core.config.overlay import overlay, with_ratio
from gradience.core.config.readers import read_config
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, OptimizerSnapshot


def rate(lr: float) -> ConfigSnapshot:
    return ConfigSnapshot(optimizer=OptimizerSnapshot(lr=lr))


def filled_in(name: str, value: object) -> ConfigSnapshot:
    return with_defaults(ConfigSnapshot(), {name: value}, "a tool")


def test_the_upper_config_wins_and_extras_are_merged() -> None:
    base = ConfigSnapshot(lora=LoraSnapshot(r=8, alpha=16, extras={"a": 1, "b": 1}), notes="n")
    over = ConfigSnapshot(lora=LoraSnapshot(r=4, extras={"b": 2}))
    assert overlay(base, over) == ConfigSnapshot(
        lora=LoraSnapshot(r=4, alpha=16, extras={"a": 1, "b": 2}), notes="n"
    )


def test_a_given_value_beats_a_default_from_either_side() -> None:
    default = filled_in("optimizer.lr", 5e-5)
    for found in (overlay(default, rate(1e-4)), overlay(rate(1e-4), default)):
        assert found == rate(1e-4)


def test_of_two_defaults_the_upper_one_stays_and_stays_marked() -> None:
    found = overlay(filled_in("optimizer.lr", 5e-5), filled_in("optimizer.lr", 2e-5))
    assert (found.optimizer.lr, default_source(found, "optimizer.lr")) == (2e-5, "a tool")


def test_full_fine_tuning_by_default_yields_to_the_adapter_of_the_other_file() -> None:
    trl = read_config({"model_name_or_path": "m", "learning_rate": 1e-4}, "sft.yaml")
    peft = read_config({"peft_type": "LORA", "r": 8}, "adapter_config.json")
    assert trl.extras["finetuning"] == "full"
    for found in (overlay(trl, peft), overlay(peft, trl)):
        assert "finetuning" not in found.extras
        assert found.lora.r == 8


def test_full_fine_tuning_that_is_given_stays() -> None:
    full = read_config({"finetuning_type": "full", "stage": "sft"}, "full.yaml")
    found = overlay(full, ConfigSnapshot(lora=LoraSnapshot(r=8)))
    assert found.extras["finetuning"] == "full"


def test_a_ratio_above_replaces_an_alpha_below() -> None:
    base = ConfigSnapshot(lora=LoraSnapshot(r=4, alpha=4.0, alpha_over_r=1.0))
    over = ConfigSnapshot(lora=LoraSnapshot(alpha_over_r=2.0))
    assert with_ratio(overlay(base, over)).lora.alpha == 8.0


def test_a_default_ratio_replaces_no_given_alpha() -> None:
    base = ConfigSnapshot(lora=LoraSnapshot(r=4, alpha=4.0))
    for found in (
        overlay(base, filled_in("lora.alpha_over_r", 2.0)),
        overlay(filled_in("lora.alpha_over_r", 2.0), base),
    ):
        assert with_ratio(found).lora == LoraSnapshot(r=4, alpha=4.0, alpha_over_r=1.0)
        assert default_source(with_ratio(found), "lora.alpha_over_r") is None


def test_a_rank_given_above_takes_the_default_alpha_with_it() -> None:
    config = read_config({"finetuning_type": "lora", "stage": "sft"}, "lf.yaml")
    found = with_ratio(overlay(config, ConfigSnapshot(lora=LoraSnapshot(r=16))))
    assert (found.lora.r, found.lora.alpha, found.lora.alpha_over_r) == (16, 32.0, 2.0)
    assert default_source(found, "lora.alpha") == "LLaMA-Factory"
    assert default_source(found, "lora.r") is None


def test_the_ratio_follows_alpha_and_rank() -> None:
    config = ConfigSnapshot(lora=LoraSnapshot(r=4, alpha=16, alpha_over_r=1.0))
    assert with_ratio(config).lora.alpha_over_r == 4.0


def test_alpha_follows_the_ratio_where_it_is_not_given() -> None:
    found = with_ratio(ConfigSnapshot(lora=LoraSnapshot(r=4, alpha_over_r=2.0))).lora
    assert (found.alpha, found.alpha_over_r) == (8.0, 2.0)


@pytest.mark.parametrize(
    "lora", [LoraSnapshot(r=4), LoraSnapshot(r=0, alpha=1), LoraSnapshot(r=-4, alpha=1)]
)
def test_without_both_the_ratio_stays_as_it_was(lora: LoraSnapshot) -> None:
    assert with_ratio(ConfigSnapshot(lora=lora)).lora == lora
