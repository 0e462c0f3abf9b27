"""TRL's defaults are those of the package that is installed, where one is."""

import dataclasses

import pytest

from gradience.core.config.trl_defaults import TRL_LORA, trl_rate


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        ("sft", "SFTConfig"),
        ("dpo", "DPOConfig"),
        ("kto", "KTOConfig"),
        ("grpo", "GRPOConfig"),
        ("rloo", "RLOOConfig"),
        ("reward", "RewardConfig"),
    ],
)
def test_the_default_rates_are_trls(objective: str, name: str) -> None:
    trl = pytest.importorskip("trl")
    fields = {field.name: field.default for field in dataclasses.fields(getattr(trl, name))}
    assert trl_rate(objective) == ({"optimizer.lr": fields["learning_rate"]}, f"TRL's {name}")


def test_the_default_adapter_is_trls() -> None:
    trl = pytest.importorskip("trl")
    fields = {field.name: field.default for field in dataclasses.fields(trl.ModelConfig)}
    names = {"r": "lora_r", "alpha": "lora_alpha", "dropout": "lora_dropout"}
    for name, value in TRL_LORA.items():
        last = name.rpartition(".")[2]
        assert fields[names.get(last, last)] == value


def test_an_unknown_objective_has_no_rate() -> None:
    assert trl_rate(None).values == {}
