"""Rules on a quantised base model."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

FOUR = "extras: {quantization: {bits: 4, scheme: nf4, compute_dtype: bfloat16}}"

CASES = [
    Case(
        "GR701",
        "extras: {quantization: {bits: 4, compute_dtype: fp16}}",
        "info",
        "fp16, which over",
    ),
    Case("GR701", "extras: {quantization: {bits: 4, compute_dtype: float32}}", "info", "is slow"),
    Case("GR702", f"{{lora: {{r: 8}}, {FOUR}}}", "info", "outputs change; merge into the 16-bit"),
    Case("GR702", "{lora: {r: 8}, extras: {quantization: {bits: 2}}}", "info", "base is in 2 bits"),
    Case(
        "GR703", f"{{lora: {{target_modules: [q_proj]}}, {FOUR}}}", "info", "QLoRA needed LoRA on"
    ),
    Case(
        "GR704",
        f"{{lora: {{extras: {{init_lora_weights: pissa_niter_4}}}}, {FOUR}}}",
        "error",
        "PEFT refuses one in 4 bits",
    ),
    Case(
        "GR705",
        f"{{lora: {{extras: {{init_lora_weights: loftq}}}}, {FOUR}}}",
        "warning",
        "must be given the 16-bit model",
    ),
    Case(
        "GR706",
        "extras: {quantization: {bits: 4, scheme: FP4}}",
        "warning",
        "nf4 is made for weights",
    ),
    Case(
        "GR707",
        "extras: {finetuning: freeze, quantization: {bits: 8}}",
        "error",
        "fine-tuning is freeze and the base is in 8 bits",
    ),
    Case("GR709", "extras: {finetuning: qlora}", "warning", "nothing says that the base is"),
    Case(
        "GR708",
        f"{{lora: {{extras: {{init_lora_weights: olora}}}}, {FOUR}}}",
        "info",
        "quantises the changed weight",
    ),
]

SILENT = [
    ("GR701", FOUR),
    ("GR701", "extras: {quantization: {bits: 8, compute_dtype: fp16}}"),
    ("GR702", FOUR),
    ("GR702", "{lora: {r: 8}, extras: {quantization: nf4}}"),
    ("GR703", "lora: {target_modules: [q_proj]}"),
    ("GR704", f"{{lora: {{extras: {{init_lora_weights: true}}}}, {FOUR}}}"),
    ("GR706", FOUR),
    ("GR707", FOUR),
    ("GR709", "extras: {finetuning: lora}"),
    ("GR708", f"{{lora: {{extras: {{init_lora_weights: pissa}}}}, {FOUR}}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
