"""Rules on names that match nothing, and on initialisations that change the base."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

MODULE = "{name: a.q_proj, in_features: 8, out_features: 8, r: 8, alpha: 8, scaling: 1, params: 1}"

UNSEEN = (
    "{lora: {target_modules: [q_proj], extras: {rank_pattern: {k_proj: 4}}}, "
    f"model_fit: {{modules: [{MODULE}]}}}}"
)
"""A key that the targets do not match, on a model that was looked at and complains of none."""

CASES = [
    Case(
        "GR902",
        "lora: {target_modules: [q_proj], extras: {alpha_pattern: {^q_proj: 100}}}",
        "warning",
        "'^q_proj' in rank_pattern or alpha_pattern matches no adapted module",
    ),
    Case(
        "GR902",
        "lora: {target_modules: [q_proj], extras: {rank_pattern: {k_proj: 4}}}",
        "warning",
        "'k_proj'",
    ),
    Case(
        "GR902",
        "lora: {target_modules: [q_proj], "
        "extras: {rank_pattern: {base_model.model.model.layers.0.q_proj: 4}}}",
        "warning",
        "default rank and alpha",
    ),
    Case(
        "GR902",
        "{lora: {target_modules: [q_proj], extras: {rank_pattern: {'layers[.]9': 4}}}, "
        f"model_fit: {{modules: [{MODULE}], unmatched_patterns: ['layers[.]9']}}}}",
        "warning",
        "'layers[.]9'",
    ),
    Case(
        "GR903",
        f"{{model_fit: {{unmatched_targets: [w1], modules: [{MODULE}]}}}}",
        "warning",
        "target 'w1' matches no module of the model",
    ),
    Case("GR903", "model_fit: {unmatched_targets: [w1]}", "error", "no target matches any module"),
    Case(
        "GR903",
        "lora: {target_modules: q_proj}",
        "warning",
        "write a list, [q_proj]",
    ),
    Case(
        "GR904",
        "lora: {extras: {alpha_pattern: {q_proj: 8, self_attn.q_proj: 16}}}",
        "warning",
        "'self_attn.q_proj' in alpha_pattern, by 'q_proj'",
    ),
    Case("GR905", "lora: {extras: {init_lora_weights: corda}}", "info", "is not the update"),
    Case(
        "GR906",
        "lora: {extras: {init_lora_weights: pissa, use_rslora: true, alpha_pattern: {q: 4}}}",
        "warning",
        "cannot be converted to plain LoRA",
    ),
    Case("GR907", "lora: {extras: {init_lora_weights: false}}", "warning", "it is for tests"),
    Case("GR913", "lora: {bias: all}", "info", "no longer the base model"),
]

SILENT = [
    ("GR902", "lora: {target_modules: [q_proj], extras: {rank_pattern: {'.*[.]0[.]q_proj': 4}}}"),
    ("GR902", "lora: {target_modules: [self_attn.q_proj], extras: {rank_pattern: {q_proj: 4}}}"),
    ("GR902", "lora: {target_modules: all-linear, extras: {rank_pattern: {k_proj: 4}}}"),
    ("GR902", "lora: {target_modules: ['q.*'], extras: {rank_pattern: {k_proj: 4}}}"),
    ("GR902", UNSEEN),
    ("GR903", "lora: {target_modules: [q_proj]}"),
    ("GR903", "lora: {target_modules: classifier}"),
    ("GR903", "lora: {target_modules: '.*q_proj'}"),
    ("GR904", "lora: {extras: {rank_pattern: {q_proj: 8, layers.0.q_proj: 8}}}"),
    ("GR904", "lora: {extras: {rank_pattern: {q_proj: 8, lq_proj: 16}}}"),
    ("GR905", "lora: {extras: {init_lora_weights: eva}}"),
    ("GR906", "lora: {extras: {init_lora_weights: loftq, use_rslora: true, rank_pattern: {q: 4}}}"),
    ("GR907", "lora: {extras: {init_lora_weights: 0}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
