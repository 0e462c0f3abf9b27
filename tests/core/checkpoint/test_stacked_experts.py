"""Names of experts, stacked and apart."""

import pytest

from gradience.core.checkpoint.stacked_experts import ExpertPlace, expert_parts, stacked_expert

EXPERTS = "model.layers.0.mlp.experts"


def test_gate_and_up_of_an_expert_under_both_namings() -> None:
    assert expert_parts(EXPERTS, "gate_up_proj", 3) == (
        (f"{EXPERTS}.3.gate_proj", f"{EXPERTS}.3.up_proj"),
        (f"{EXPERTS}.3.w1", f"{EXPERTS}.3.w3"),
    )


def test_an_unknown_parameter_has_no_parts() -> None:
    assert expert_parts(EXPERTS, "bias", 3) == ()


@pytest.mark.parametrize(("leaf", "half"), [("w1", 0), ("w3", 1), ("gate_proj", 0), ("up_proj", 1)])
def test_an_experts_gate_and_up_are_halves_or_stacks_of_their_own(leaf: str, half: int) -> None:
    places = stacked_expert(f"{EXPERTS}.3.{leaf}")
    assert places[0] == ExpertPlace(f"{EXPERTS}.gate_up_proj", 3, half)
    assert [place.half for place in places[1:]] == [None]


@pytest.mark.parametrize("leaf", ["w2", "down_proj"])
def test_an_experts_down_is_one_slice(leaf: str) -> None:
    assert stacked_expert(f"{EXPERTS}.3.{leaf}") == (ExpertPlace(f"{EXPERTS}.down_proj", 3, None),)


@pytest.mark.parametrize("module", ["model.layers.0.self_attn.q_proj", "lm_head", "w1"])
def test_other_modules_are_no_experts(module: str) -> None:
    assert stacked_expert(module) == ()
