"""A key is said to match nothing only where that is certain; PEFT's own rule is the judge."""

import re

import pytest

from gradience.core.checking.pattern_keys import never_matches

MODULES = [
    f"model.layers.{layer}.{part}"
    for layer in (0, 10)
    for part in ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj")
]
TARGETS = [("q_proj",), ("self_attn.q_proj", "up_proj"), ("layers.0.mlp.up_proj",)]
KEYS = [
    "q_proj",
    "k_proj",
    "self_attn.q_proj",
    "layers.0.self_attn.q_proj",
    "model.layers.10.mlp.up_proj",
    "^model.layers.0.self_attn.q_proj",
    "^q_proj",
    "q_proj$",
    "proj",
    ".*proj",
    "base_model.model.model.layers.0.self_attn.q_proj",
]


def matched_by_peft(key: str, targets: tuple[str, ...]) -> bool:
    adapted = [
        name
        for name in MODULES
        if any(name == target or name.endswith(f".{target}") for target in targets)
    ]
    return any(re.match(rf"(.*\.)?({key})$", name) for name in adapted)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("key", KEYS)
def test_no_key_that_peft_matches_is_said_to_match_nothing(
    key: str, targets: tuple[str, ...]
) -> None:
    if never_matches(key, targets):
        assert not matched_by_peft(key, targets)


@pytest.mark.parametrize("key", ["k_proj", "^q_proj", "proj", KEYS[-1]])
def test_a_key_of_another_module_matches_nothing(key: str) -> None:
    assert never_matches(key, ("q_proj",))


@pytest.mark.parametrize("targets", [None, (), (".*q",)])
def test_nothing_is_certain_without_plain_targets(targets: tuple[str, ...] | None) -> None:
    assert not never_matches("k_proj", targets)
