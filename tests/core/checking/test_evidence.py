"""Every row of the evidence and of what users run into has its rules, or a reason for none."""

import pytest

from gradience.core.checking.check import check_config
from gradience.core.config.snapshot import ConfigSnapshot
from tests.core.checking.written_configs import BY_CODE

MONITORED = "of a run's record: the monitor's"
AUDITED = "of weights: the audit's"
RECORDED = "of how runs are recorded: the callback's and the reader's"

EVIDENCE: dict[str, tuple[str, ...] | str] = {
    "R1 LoRA's rate is ten times full fine-tuning's": ("GR101", "GR103", "GR104", "GR105"),
    "R1a framework defaults": ("GR103",),
    "R2 all linear layers": ("GR201", "GR203", "GR703"),
    "R3 reasoning is no exception": ("GR201",),
    "R4 band of the rate": ("GR102", "GR103", "GR107"),
    "R5 rank": ("GR300", "GR301", "GR305", "GR306", "GR603"),
    "R6 alpha": ("GR302", "GR303", "GR304"),
    "R7 LoRA+": ("GR106",),
    "R8 variants": "they come out alike once the rate is tuned: nobody is told to switch",
    "R9 effective batch": ("GR405",),
    "R10 epochs": ("GR601",),
    "R11 dropout": ("GR406",),
    "R12 weight decay": ("GR110",),
    "R13 warm-up": ("GR403", "GR404"),
    "R14 clipping": ("GR401",),
    "R15 precision": ("GR402", "GR501", "GR701"),
    "R16 bands of the gradient norm": MONITORED,
    "R17 spikes by z-score": MONITORED,
    "R18 spikes by ratio": MONITORED,
    "R19 recovery": "of the guard, which rolls back",
    "R20 overfitting": ("GR602",),
    "R21 plateau": MONITORED,
    "R22 intruder dimensions": AUDITED,
    "R23 when LoRA is wrong": ("GR604",),
    "design 1 the Trainer hides NaN": ("GR407",),
    "design 2 attention-only is no safe default": ("GR201",),
    "design 5 initialisations that change the base": ("GR704", "GR705", "GR708", "GR905", "GR906"),
    "design 7 the largest rank decides serving": ("GR801", "GR803", "GR805"),
}

USERS: dict[int, tuple[str, ...] | str] = {
    1: ("GR305",),
    2: AUDITED,
    3: "of truncation",
    4: ("GR902",),
    5: ("GR304", "GR904"),
    6: ("GR903", "GR908"),
    7: AUDITED,
    8: "of an adapter's keys against its base: the audit's; GR903 for the targets",
    9: ("GR903",),
    10: AUDITED,
    11: ("GR407",),
    12: ("GR701",),
    13: ("GR402",),
    14: MONITORED,
    15: ("GR303",),
    16: ("GR401",),
    17: ("GR102",),
    18: ("GR102", "GR601"),
    19: ("GR806",),
    20: MONITORED,
    21: "of merging adapters",
    22: AUDITED,
    23: ("GR702",),
    24: ("GR801", "GR802", "GR803", "GR805"),
    25: RECORDED,
    26: "of the guard",
    27: RECORDED,
    28: RECORDED,
    29: RECORDED,
}

SERVING = {
    "vLLM refuses modules_to_save": ("GR804",),
    "vLLM refuses DoRA": ("GR807",),
    "vLLM and biases": ("GR808",),
    "TensorRT-LLM ignored per-module ranks": ("GR809",),
}

QUOTED = {
    "GR401": "openvla/openvla#334",
    "GR402": "Lightning-AI/lit-llama#294",
    "GR407": "huggingface/trl#6702",
    "GR601": "QwenLM/Qwen#785",
    "GR701": "huggingface/trl#618",
    "GR702": "huggingface/peft#2321",
    "GR801": "vllm-project/vllm#2847",
    "GR806": "unslothai/unsloth#1093",
    "GR902": "huggingface/peft#3582",
    "GR903": "bghira/SimpleTuner#766",
}


def test_every_row_of_the_evidence_is_there() -> None:
    rows = {name.split()[0] for name in EVIDENCE}
    assert {f"R{number}" for number in range(1, 24)} <= rows
    assert set(USERS) == set(range(1, 30))


@pytest.mark.parametrize("row", [*EVIDENCE.items(), *USERS.items(), *SERVING.items()], ids=str)
def test_a_row_has_its_rules_or_a_reason_for_none(
    row: tuple[object, tuple[str, ...] | str],
) -> None:
    _, answer = row
    if isinstance(answer, str):
        assert answer
    else:
        assert answer
        assert set(answer) <= BY_CODE.keys()


@pytest.mark.parametrize(("code", "source"), QUOTED.items())
def test_a_rule_cites_the_issue_it_comes_from(code: str, source: str) -> None:
    assert source in BY_CODE[code].source


def test_nobody_is_told_to_switch_to_a_variant() -> None:
    words = ("use DoRA", "use PiSSA", "switch to", "try DoRA")
    told = [rule.rationale + rule.summary for rule in BY_CODE.values()]
    assert not any(word in text for word in words for text in told)


VOCABULARY = frozenset(
    "set_task_profile set_lr lower_lr consider_lower_lr set_target_modules "
    "include_attention_targets review_target_modules set_rank consider_reduce_rank "
    "reduce_rank_for_efficiency consider_lower_alpha_over_r fix_weight_decay calibration_probe "
    "log_train_test_ppl".split()
)
"""The contract's words for what a configuration calls for."""


def test_every_word_of_the_contract_is_some_rules_action() -> None:
    assert {rule.action for rule in BY_CODE.values()} >= VOCABULARY
    (found,) = check_config(ConfigSnapshot(), rules=(BY_CODE["GR101"],)).recommendations
    assert found.action == "config_ok"
