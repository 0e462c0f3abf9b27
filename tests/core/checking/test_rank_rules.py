"""Rules on rank, alpha and scaling: effective values, patterns and models included."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

FIT = (
    "model_fit: {{modules: [{{name: a, in_features: 8, out_features: 8, r: {0}, alpha: {1}, "
    "scaling: 1, params: 1}}]}}"
)

CASES = [
    Case("GR300", "{}", "info", "no rank is given"),
    Case("GR300", "lora: {r: -3}", "error", "rank -3 is no rank"),
    Case("GR301", "lora: {r: 257}", "warning", "published recommendations name (up to 256)"),
    Case("GR301", "lora: {r: 8, extras: {rank_pattern: {x: 300}}}", "warning", "rank 300"),
    Case("GR301", f"{{lora: {{r: 8}}, {FIT.format(512, 8)}}}", "warning", "rank 512"),
    Case("GR302", "lora: {r: 8, alpha: 64}", "warning", "scaled by 8 (α/r), more than 4"),
    Case("GR302", "lora: {r: 8, alpha_over_r: 5}", "warning", "scaled by 5 (α/r)"),
    Case(
        "GR302",
        "lora: {r: 16, alpha: 16, extras: {alpha_pattern: {v_proj: 160}}}",
        "warning",
        "scaled by 10",
    ),
    Case("GR302", f"{{lora: {{r: 8, alpha: 8}}, {FIT.format(8, 80)}}}", "warning", "scaled by 10"),
    Case(
        "GR302",
        "lora: {r: 16, alpha: 128, extras: {use_rslora: true}}",
        "warning",
        "scaled by 32 (α/√r, rsLoRA, with α/r = 8)",
    ),
    Case(
        "GR302",
        "{optimizer: {lr: 1.0e-5}, lora: {r: 8, alpha: 160}}",
        "info",
        "more than 4, at a learning rate of 1e-05 that is low in proportion",
    ),
    Case("GR302", "{optimizer: {lr: 1.0e-4}, lora: {r: 8, alpha: 64}}", "warning", "by 8 (α/r)"),
    Case(
        "GR303",
        "lora: {r: 64, alpha: 128, extras: {use_rslora: true}}",
        "info",
        "α = 128 at rank 64 means s = 16",
    ),
    Case(
        "GR303",
        "{optimizer: {lr: 2.0e-4}, lora: {r: 64, alpha: 128, extras: {use_rslora: true}}}",
        "warning",
        "s = 16, at learning rate 0.0002 like 0.0016 at α = 2r without it",
    ),
    Case(
        "GR303",
        "{optimizer: {lr: 5.0e-5}, lora: {r: 16, alpha: 32, extras: {use_rslora: true}}}",
        "info",
        "means s = 8; α",
    ),
    Case("GR305", "lora: {r: 8, extras: {rank_pattern: {x: 65}}}", "info", "rank 65: a short run"),
    Case(
        "GR306",
        "{lora: {r: 64, extras: {task_type: SEQ_CLS}}}",
        "info",
        "rank 64 for an easy classification, where rank 1 did as well",
    ),
    Case(
        "GR304",
        "lora: {r: 4, alpha: 4, extras: {rank_pattern: {q_proj: 16}}}",
        "info",
        "s from 0.25 to 1",
    ),
]

SILENT = [
    ("GR301", f"{{lora: {{r: 512}}, {FIT.format(8, 8)}}}"),
    ("GR301", "lora: {r: 8, extras: {rank_pattern: {x: many, y: .inf, z: true}}}"),
    ("GR302", "lora: {r: 7, alpha: 64}"),
    ("GR302", "lora: {r: 1, alpha: 32}"),
    ("GR302", "lora: {r: 64, alpha: 64, extras: {use_rslora: true}}"),
    ("GR302", "lora: {r: 16, alpha: .inf}"),
    ("GR302", "lora: {r: 16}"),
    ("GR303", "lora: {r: 64, alpha: 128}"),
    ("GR303", "lora: {r: 64, alpha: 512, extras: {use_rslora: true}}"),
    ("GR304", "lora: {r: 8, alpha: 8, extras: {rank_pattern: {q_proj: 16}}}"),
    ("GR305", "lora: {r: 257}"),
    ("GR305", "{lora: {r: 128}, training: {extras: {objective: pretrain}}}"),
    ("GR305", "{lora: {r: 128}, extras: {probe: true}}"),
    ("GR305", "{task_profile: easy_classification, lora: {r: 128}}"),
    ("GR306", "lora: {r: 64}"),
    ("GR306", "{task_profile: easy_classification, lora: {r: 257}}"),
    ("GR306", "{task_profile: easy_classification, lora: {r: 64}, extras: {probe: true}}"),
    ("GR304", "lora: {r: 8, extras: {rank_pattern: {q_proj: 64}}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
