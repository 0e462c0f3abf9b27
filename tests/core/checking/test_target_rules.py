"""Rules on which modules are adapted, by their names and on their model."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

MODULES = (
    "modules: [{{name: model.layers.0.{0}, in_features: 8, out_features: 8, r: 2, alpha: 4, "
    "scaling: 2, params: 32}}]"
)
ATTENTION_FIT = MODULES.format("self_attn.q_proj")
MLP_FIT = MODULES.format("mlp.up_proj")

CASES = [
    Case("GR200", "{}", "info", "no target modules are given"),
    Case("GR200", "lora: {target_modules: []}", "warning", "nothing would be adapted"),
    Case("GR201", "lora: {target_modules: [q_proj, v_proj]}", "warning", "(q_proj, v_proj)"),
    Case(
        "GR201",
        f"{{lora: {{target_modules: '.*proj'}}, model_fit: {{{ATTENTION_FIT}}}}}",
        "warning",
        "only attention is adapted (q_proj)",
    ),
    Case(
        "GR201",
        "{task_profile: hard_reasoning, lora: {target_modules: [q_proj]}}",
        "warning",
        "on reasoning tasks too",
    ),
    Case(
        "GR201",
        "{task_profile: easy_classification, lora: {target_modules: [q_proj]}}",
        "info",
        "from harder tasks",
    ),
    Case(
        "GR201",
        "lora: {target_modules: [query], extras: {task_type: SEQ_CLS}}",
        "info",
        "from harder tasks",
    ),
    Case(
        "GR201",
        "lora: {target_modules: [query], extras: {modules_to_save: [classifier]}}",
        "info",
        "from harder tasks",
    ),
    Case(
        "GR201",
        "{dataset_name: glue/sst2, lora: {target_modules: [q_lin]}}",
        "info",
        "from harder tasks",
    ),
    Case(
        "GR201",
        "{task_profile: generation, dataset_name: glue, lora: {target_modules: [q_lin]}}",
        "warning",
        "only attention",
    ),
    Case("GR202", "lora: {target_modules: [q_proj]}", "info", "task profile is unknown"),
    Case("GR203", "lora: {target_modules: [lm_head]}", "warning", "(lm_head): no layer"),
    Case("GR203", "lora: {target_modules: [model.embed_tokens]}", "warning", "(embed_tokens)"),
]

SILENT = [
    ("GR200", "lora: {target_modules: [q_proj]}"),
    ("GR200", "lora: {extras: {target_parameters: [experts.gate_up_proj]}}"),
    ("GR200", "extras: {finetuning: full}"),
    ("GR201", "lora: {target_modules: all-linear}"),
    ("GR201", "lora: {target_modules: '.*attn.*'}"),
    ("GR201", "lora: {target_modules: [gate_proj, up_proj]}"),
    ("GR201", f"{{lora: {{target_modules: [q_proj]}}, model_fit: {{{MLP_FIT}}}}}"),
    ("GR201", "lora: {target_modules: [something]}"),
    ("GR202", "{dataset_name: sst2, lora: {target_modules: [q_lin]}}"),
    ("GR203", "lora: {target_modules: [something]}"),
    ("GR203", "lora: {target_modules: all-linear}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
