"""PEFT's matching of names, against PEFT itself."""

from typing import Any

import pytest
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists

from gradience.core.architecture.adapter_settings import adapter_settings
from gradience.core.architecture.matching import Matcher, has_suffix
from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.core.errors import ConfigError

NAMES = (
    "q_proj",
    "model.layers.0.self_attn.q_proj",
    "model.layers.1.self_attn.q_proj",
    "model.layers.11.self_attn.my_q_proj",
    "model.layers.1.mlp.experts.0.q_proj",
    "encoder.block.2.layer.0.SelfAttention.q",
    "model.vision.blocks.1.q_proj",
    "lm_head",
    "classifier.dense",
    "my_classifier",
)

SETTINGS: tuple[dict[str, Any], ...] = (
    {"target_modules": ["q_proj"]},
    {"target_modules": ["self_attn.q_proj", "q"]},
    {"target_modules": ["model.layers.1.self_attn.q_proj"], "layers_to_transform": [0]},
    {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    {"target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"},
    {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "blocks"]},
    {"target_modules": ["q_proj"], "layers_to_transform": []},
    {"target_modules": r".*\.[01]\..*q_proj"},
    {"target_modules": "q_proj"},
    {"target_modules": ["q_proj", "lm_head"], "exclude_modules": ["lm_head", "1.self_attn.q_proj"]},
    {"target_modules": ["q_proj"], "exclude_modules": r".*vision.*"},
    {"target_modules": ["dense", "my_classifier"], "modules_to_save": ["classifier"]},
    {"target_modules": r".*", "modules_to_save": [r"layers\.\d+"]},
)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_as_peft(settings: dict[str, Any], name: str) -> None:
    assert matcher(settings).targeted(name) is bool(
        check_target_module_exists(LoraConfig(**settings), name)
    )


def matcher(settings: dict[str, Any]) -> Matcher:
    """Ours for PEFT's arguments."""
    extras = dict(settings)
    targets = extras.pop("target_modules")
    lora = LoraSnapshot(
        r=8, target_modules=tuple(targets) if isinstance(targets, list) else targets, extras=extras
    )
    return Matcher(adapter_settings(ConfigSnapshot(lora=lora)))


def test_the_head_of_a_classifier_is_never_adapted() -> None:
    """PEFT adds it to modules_to_save before it looks for targets."""
    found = matcher({"target_modules": ["score", "dense"], "task_type": "SEQ_CLS"})
    assert not found.targeted("score")
    assert not found.targeted("classifier.dense")
    assert found.targeted("pooler.dense")
    assert matcher({"target_modules": ["score"], "task_type": "CAUSAL_LM"}).targeted("score")


def test_suffixes_end_at_dots() -> None:
    assert has_suffix("a.b.c", ["b.c"])
    assert has_suffix("c", ["c"])
    assert not has_suffix("a.bc", ["c"])
    assert not has_suffix("c", [])


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "no regular expression"),
        ("(a+)+b", "endlessly many ways"),
        ("x{99999999999}", "no reg"),
    ],
)
def test_a_pattern_that_cannot_be_run(pattern: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        matcher({"target_modules": pattern}).targeted("model.layers.0.q_proj")
