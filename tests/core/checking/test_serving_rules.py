"""Rules on what serving the adapter will cost, or refuse."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

MODULE = "{{name: a, in_features: 8, out_features: 8, r: {0}, alpha: 8, scaling: 1, params: 1}}"
OUTLIER = ", ".join(MODULE.format(rank) for rank in (8, 8, 64))

CASES = [
    Case("GR801", "lora: {r: 32}", "info", "with max_lora_rank=32; its default of 16"),
    Case("GR801", f"{{lora: {{r: 8}}, model_fit: {{modules: [{OUTLIER}]}}}}", "info", "rank 64"),
    Case("GR802", "lora: {r: 1024}", "info", "above rank 512, and this one has 1024"),
    Case("GR803", "lora: {r: 48}", "info", "max_lora_rank=64, and pads to that"),
    Case(
        "GR804",
        "lora: {extras: {modules_to_save: [lm_head, embed_tokens]}}",
        "info",
        "(embed_tokens, lm_head); served merged",
    ),
    Case(
        "GR805",
        "lora: {r: 8, extras: {rank_pattern: {a: 8, b: 64}}}",
        "info",
        "largest rank, 64, in every module, where 8 is usual",
    ),
    Case("GR805", f"{{lora: {{r: 8}}, model_fit: {{modules: [{OUTLIER}]}}}}", "info", "rank of 8"),
    Case(
        "GR806",
        "{lora: {extras: {modules_to_save: [lm_head]}}, "
        "model_fit: {base_params: 100, saved_module_params: 25}}",
        "warning",
        "25 % of the base model",
    ),
    Case(
        "GR806",
        "lora: {extras: {modules_to_save: [embed_tokens, lm_head]}}",
        "info",
        "embed_tokens and lm_head will be trained and saved in full",
    ),
    Case("GR807", "lora: {extras: {use_dora: true}}", "info", "vLLM refuses DoRA"),
    Case("GR808", "lora: {extras: {lora_bias: true}}", "info", "biases are trained"),
    Case("GR809", "lora: {r: 8, extras: {rank_pattern: {a: 4}}}", "info", "not every loader"),
]

SILENT = [
    ("GR801", "lora: {r: 48}"),
    ("GR801", "lora: {r: 64, extras: {task_type: SEQ_CLS}}"),
    ("GR801", "lora: {r: 600}"),
    ("GR803", "lora: {r: 10}"),
    ("GR804", "lora: {extras: {modules_to_save: [classifier, score]}}"),
    ("GR804", "lora: {extras: {modules_to_save: []}}"),
    ("GR805", "lora: {r: 64}"),
    ("GR806", "lora: {extras: {modules_to_save: [visual]}}"),
    ("GR807", "lora: {extras: {use_dora: 'no'}}"),
    ("GR808", "lora: {bias: none, extras: {lora_bias: false}}"),
    ("GR809", "lora: {r: 8}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
