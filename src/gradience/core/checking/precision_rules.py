"""Rules on the precision of weights and arithmetic."""

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.readings import text
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.severity import Severity

FP16 = frozenset({"float16", "fp16", "half", "torch.float16"})
"""What configurations call half precision."""


def _fp16(subject: Subject, _: CheckPolicy) -> Verdict | None:
    dtype = subject.config.training.dtype
    if dtype is None or dtype.lower() not in FP16:
        return None
    return Verdict(Severity.INFO, "training in fp16, which overflows where bf16 does not")


def _fp16_weights(subject: Subject, _: CheckPolicy) -> Verdict | None:
    kept = text(subject.config.training.extras, "parameter_dtype")
    if kept not in FP16:
        return None
    mixed = (subject.config.training.dtype or "").lower() in FP16
    end = "; fp16 mixed precision cannot unscale their gradients and stops" if mixed else ""
    return Verdict(
        Severity.ERROR if mixed else Severity.WARNING,
        f"the trained weights themselves are kept in fp16{end}",
        {"parameter_dtype": kept, "dtype": subject.config.training.dtype},
    )


RULES = (
    Rule(
        code="GR402",
        name="fp16",
        summary="The run computes in fp16.",
        severity=Severity.INFO,
        action="prefer_bf16",
        scope="training.dtype",
        rationale="fp16 has turned runs into NaN that bf16 trained without a change.",
        source="Lightning-AI/lit-llama#294; huggingface/peft#1522; QwenLM/Qwen3#670; PEFT's "
        "troubleshooting guide",
        confidence=0.5,
        refuted_by="The run's record shows no non-finite gradient and no skipped step.",
        judge=_fp16,
        speaks="training: {dtype: float16}",
        silent="training: {dtype: bfloat16}",
    ),
    Rule(
        code="GR501",
        name="fp16-trained-weights",
        summary="The weights that are trained are kept in fp16.",
        severity=Severity.ERROR,
        action="keep_trained_weights_in_float32",
        scope="training.parameter_dtype",
        rationale="torch's gradient scaler refuses fp16 gradients; without it small updates round "
        "to nothing. PEFT casts adapters to float32 by itself since 0.12, a tool may not.",
        source="PEFT's troubleshooting guide; torch.amp.GradScaler",
        confidence=0.8,
        refuted_by="The trained parameters' dtype, printed before the first step, is float32.",
        judge=_fp16_weights,
        speaks="training: {dtype: float16, extras: {parameter_dtype: float16}}",
        silent="training: {dtype: float16, extras: {parameter_dtype: float32}}",
    ),
)
"""The rules of this family, in the order in which they are reported."""
