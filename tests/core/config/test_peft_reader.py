"""PEFT's adapter_config.json as a snapshot."""

import pytest

from gradience.core.config.defaults import default_source
from gradience.core.config.overlay import overlay
from gradience.core.config.peft_reader import PEFT, peft_snapshot
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import ConfigError


def test_a_peft_config_gives_the_adapter() -> None:
    raw = {
        "peft_type": "LORA",
        "r": 16,
        "lora_alpha": 32,
        "target_modules": ["q_proj"],
        "use_rslora": True,
        "rank_pattern": {},
        "exclude_modules": ["lm_head"],
        "layers_to_transform": None,
        "base_model_name_or_path": "/home/ann/m",
    }
    found = peft_snapshot(raw, "adapter_config.json")
    assert found.model_name == "m"
    assert (found.lora.r, found.lora.alpha, found.lora.alpha_over_r) == (16, 32.0, 2.0)
    assert found.lora.target_modules == ("q_proj",)
    assert found.lora.extras["use_rslora"] is True
    assert found.lora.extras["rank_pattern"] == {}
    assert found.lora.extras["exclude_modules"] == ["lm_head"]
    assert not {"task_type", "layers_to_transform"} & found.lora.extras.keys()


def test_what_peft_fills_in_is_marked_and_loses_to_what_is_given() -> None:
    old = peft_snapshot({"peft_type": "LORA", "target_modules": ["q"]}, "old.json")
    assert (old.lora.r, old.lora.alpha) == (8, 8.0)
    for name in ("lora.r", "lora.alpha", "lora.alpha_over_r", "lora.extras.use_rslora"):
        assert default_source(old, name) == PEFT
    below = peft_snapshot({"peft_type": "LORA", "r": 4, "use_rslora": True}, "new.json")
    found = overlay(below, old).lora
    assert (found.r, found.extras["use_rslora"]) == (4, True)


def test_what_is_off_above_is_off() -> None:
    below = {"peft_type": "LORA", "use_rslora": True, "rank_pattern": {"q": 2}}
    above = {"peft_type": "LORA", "use_rslora": False, "rank_pattern": {}}
    found = overlay(peft_snapshot(below, "peft"), peft_snapshot(above, "config")).lora
    assert (found.extras["use_rslora"], found.extras["rank_pattern"]) == (False, {})


def test_a_peft_type_without_ranks_keeps_its_name_and_claims_no_rank() -> None:
    found = peft_snapshot({"peft_type": "IA3"}, "adapter_config.json")
    assert found == ConfigSnapshot(extras={"peft_type": "IA3"})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"r": 8, "lora_alpha": 8}, r"string under 'peft_type', found None"),
        ({"peft_type": 3}, r"string under 'peft_type', found 3"),
        ({"peft_type": "LORA", "r": 0}, r"ranks of at least 1"),
        ({"peft_type": "LORA", "r": "many"}, r"adapter_config\.r"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_path(raw: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^c\.json: .*{words}"):
        peft_snapshot(raw, "c.json")
