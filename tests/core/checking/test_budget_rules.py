"""Rules on how much data a run sees, and whether it can tell when to stop."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

FIT = "model_fit: {trainable_params: 1000}"

CASES = [
    Case("GR601", "training: {epochs: 4}", "info", "4 epochs, where 1 to 3 are usual"),
    Case("GR601", "training: {epochs: 150}", "warning", "150 epochs: the model will see"),
    Case(
        "GR601",
        "{task_profile: easy_classification, training: {epochs: 40}}",
        "info",
        "watch the eval loss",
    ),
    Case("GR602", "training: {extras: {eval_strategy: 'no'}}", "info", "cannot be seen"),
    Case("GR602", "training: {extras: {eval_strategy: false}}", "info", "nothing is evaluated"),
    Case("GR602", "training: {extras: {val_set_size: 0.0}}", "info", "nothing is evaluated"),
    Case(
        "GR603",
        f"{{training: {{batch_size: 1, max_steps: 11, extras: {{max_length: 1000}}}}, {FIT}}}",
        "info",
        "up to 1.1e+04 tokens for 1e+03 trained parameters",
    ),
    Case(
        "GR604",
        "{lora: {r: 8}, training: {extras: {objective: pretrain}}}",
        "info",
        "continued pre-training with LoRA",
    ),
]

_BY_DEFAULT = "extras: {defaults: {training.extras.eval_strategy: HF}}}"

SILENT = [
    ("GR601", "training: {epochs: 100, max_steps: 20}"),
    ("GR601", "training: {epochs: .inf}"),
    ("GR601", "{dataset_name: glue, training: {epochs: 5}}"),
    ("GR601", "training: {epochs: 100, extras: {objective: grpo}}"),
    ("GR602", "{}"),
    (
        "GR602",
        "{training: {extras: {eval_strategy: 'no'}}, " + _BY_DEFAULT,
    ),
    ("GR602", "training: {extras: {eval_strategy: 'no', objective: grpo}}"),
    ("GR602", "training: {extras: {eval_strategy: steps}}"),
    (
        "GR603",
        f"{{training: {{batch_size: 1, max_steps: 10, extras: {{max_length: 1000}}}}, {FIT}}}",
    ),
    ("GR603", "training: {batch_size: 1, max_steps: 99999, extras: {max_length: 1000}}"),
    ("GR604", "training: {extras: {objective: pretrain}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
