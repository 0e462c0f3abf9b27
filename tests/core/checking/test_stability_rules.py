"""Rules on clipping, warm-up, batch, dropout, and what a log hides."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

CASES = [
    Case("GR401", "training: {extras: {max_grad_norm: 0.0}}", "warning", "clipping is off"),
    Case("GR401", "training: {extras: {max_grad_norm: null}}", "warning", "clipping is off"),
    Case(
        "GR401",
        "{training: {extras: {max_grad_norm: null}}, extras: {tool: torchtune}}",
        "info",
        "as in torchtune's own recipes",
    ),
    Case(
        "GR401",
        "{training: {extras: {max_grad_norm: 0}}, extras: {tool: torchtune}}",
        "warning",
        "clipping is off",
    ),
    Case(
        "GR403",
        "{optimizer: {lr: 1.0e-4}, training: {extras: {warmup_steps: 0}}}",
        "info",
        "no warm-up at learning rate 0.0001",
    ),
    Case("GR404", "training: {extras: {warmup_ratio: 1.0}}", "warning", "is the whole run"),
    Case(
        "GR404",
        "training: {max_steps: 50, extras: {warmup_steps: 100}}",
        "warning",
        "100 steps of 50: the rate never comes to its peak",
    ),
    Case(
        "GR405",
        "{lora: {r: 8}, training: {batch_size: 2, gradient_accumulation: 4, "
        "extras: {world_size: 8}}}",
        "info",
        "64 examples per step",
    ),
    Case("GR406", "lora: {dropout: 0.5}", "info", "dropout 0.5 is above"),
    Case("GR407", "training: {extras: {logging_nan_inf_filter: true}}", "info", "will not show"),
]

SILENT = [
    ("GR401", "{}"),
    ("GR401", "training: {extras: {max_grad_norm: '0.3'}}"),
    ("GR401", "training: {extras: {max_grad_norm: much}}"),
    ("GR403", "optimizer: {lr: 2.0e-4}"),
    ("GR403", "{optimizer: {lr: 5.0e-5}, training: {extras: {warmup_steps: 0}}}"),
    ("GR404", "training: {extras: {warmup_steps: 100}}"),
    ("GR404", "training: {max_steps: 50, extras: {warmup_steps: 0.1}}"),
    ("GR405", "{lora: {r: 8}, training: {gradient_accumulation: 64}}"),
    ("GR405", "training: {batch_size: 64}"),
    ("GR405", "{lora: {r: 8}, training: {batch_size: 64, extras: {objective: grpo}}}"),
    ("GR406", "lora: {dropout: 1.0}"),
    ("GR407", "{}"),
    ("GR407", "training: {extras: {logging_nan_inf_filter: 'true'}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
