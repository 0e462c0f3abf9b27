"""Rules on the precision of weights and arithmetic."""

import pytest

from tests.core.checking.written_configs import Case, assert_speaks, verdict

CASES = [
    Case("GR402", "training: {dtype: fp16}", "info", "overflows where bf16 does not"),
    Case(
        "GR501",
        "training: {dtype: float16, extras: {parameter_dtype: float16}}",
        "error",
        "cannot unscale their gradients",
    ),
    Case("GR501", "training: {extras: {parameter_dtype: fp16}}", "warning", "kept in fp16"),
]

SILENT = [
    ("GR402", "training: {dtype: float32}"),
    ("GR501", "training: {dtype: float16}"),
    ("GR501", "training: {extras: {parameter_dtype: 16}}"),
    ("GR501", "training: {extras: {parameter_dtype: bfloat16}}"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.words}")
def test_a_rule_says_so(case: Case) -> None:
    assert_speaks(case)


@pytest.mark.parametrize(("code", "config"), SILENT)
def test_a_rule_is_silent(code: str, config: str) -> None:
    assert verdict(code, config) is None
