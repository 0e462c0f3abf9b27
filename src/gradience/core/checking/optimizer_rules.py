"""Rules on the learning rate, weight decay, clipping and precision."""

import math

from gradience.core.checking.rule import CheckPolicy, Rule, Subject, Verdict
from gradience.core.numbers import real_number
from gradience.core.severity import Severity


def _lr_missing(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.config.optimizer.lr is not None:
        return None
    return Verdict(Severity.INFO, "no learning rate is given, so it was not checked")


def _lr_extreme(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = subject.config.optimizer.lr
    if lr is None:
        return None
    if not lr > 0:
        return Verdict(Severity.ERROR, f"learning rate {lr:g} trains nothing", {"lr": lr})
    if lr < policy.lr_extreme or subject.other_adapter is not None:
        return None
    return Verdict(
        Severity.ERROR, f"learning rate {lr:g} is far beyond any published LoRA recipe", {"lr": lr}
    )


def _lr_high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = subject.config.optimizer.lr
    if lr is None or not policy.lr_high < lr < policy.lr_extreme:
        return None
    return Verdict(
        Severity.WARNING,
        f"learning rate {lr:g} is above {policy.lr_high:g}, where published LoRA sweeps end",
        {"lr": lr, "lr_high": policy.lr_high},
    )


def _lr_low(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = subject.config.optimizer.lr
    if lr is None or not subject.has_adapter:
        return None
    framework = dict(policy.framework_rates).get(lr)
    if framework is not None:
        said = f"is the default of {framework}, for full fine-tuning: set it deliberately"
    elif 0 < lr <= policy.lr_low:
        said = "is one for full fine-tuning"
    else:
        return None
    return Verdict(
        Severity.INFO,
        f"learning rate {lr:g} {said}; supervised LoRA usually wants about ten times what full "
        "fine-tuning does (preference and reinforcement learning do use such rates)",
        {"lr": lr, "lr_low": policy.lr_low},
    )


def _weight_decay(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    decay = subject.config.optimizer.weight_decay
    if decay is None or not math.isfinite(decay):
        return None
    evidence = {"weight_decay": decay, "weight_decay_high": policy.weight_decay_high}
    if decay < 0:
        return Verdict(Severity.ERROR, f"weight decay {decay:g} is negative", evidence)
    if decay <= policy.weight_decay_high or subject.other_adapter is not None:
        return None
    return Verdict(
        Severity.WARNING,
        f"weight decay {decay:g} is above {policy.weight_decay_high:g} and may hold the "
        "adapter near zero",
        evidence,
    )


def _no_clipping(subject: Subject, _: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    if "max_grad_norm" not in extras:
        return None
    written = extras["max_grad_norm"]
    norm = _number(written)
    if written is not None and (norm is None or norm > 0):
        return None
    return Verdict(Severity.WARNING, "gradient clipping is off", {"max_grad_norm": norm})


def _number(value: object) -> float | None:
    """A number, also where it is written as a string (YAML reads ``1e-1`` as one)."""
    if not isinstance(value, str):
        return real_number(value)
    try:
        return float(value)
    except ValueError:
        return None


def _fp16(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.config.training.dtype not in ("float16", "fp16"):
        return None
    return Verdict(Severity.INFO, "training in fp16, which overflows where bf16 does not")


RULES = (
    Rule(
        code="GR100",
        action="set_lr",
        scope="optimizer.lr",
        rationale="The learning rate decides more than any other setting.",
        source="Biderman et al. 2024 (arXiv 2405.09673)",
        confidence=1.0,
        refuted_by="Nothing to refute: a value is missing.",
        judge=_lr_missing,
    ),
    Rule(
        code="GR101",
        action="lower_lr",
        scope="optimizer.lr",
        rationale="No published LoRA recipe comes near such a rate; zero, a negative rate or NaN "
        "trains nothing.",
        source="Biderman et al. 2024 (arXiv 2405.09673): best rates lie between 5e-5 and 5e-4",
        confidence=0.8,
        refuted_by="Twenty steps at this rate: the loss falls and stays down.",
        judge=_lr_extreme,
    ),
    Rule(
        code="GR102",
        action="consider_lower_lr",
        scope="optimizer.lr",
        rationale="Published sweeps of LoRA's rate find their best at or below 5e-4.",
        source="Biderman et al. 2024 (arXiv 2405.09673)",
        confidence=0.6,
        refuted_by="A run at a third of this rate, same seed: its eval loss is no better.",
        judge=_lr_high,
        lora_only=True,
    ),
    Rule(
        code="GR103",
        action="set_lr",
        scope="optimizer.lr",
        rationale="LoRA's best rate is about ten times that of full fine-tuning.",
        source="TRL's guide LoRA Without Regret, which reports Thinking Machines 2025; the "
        "defaults are those in TRL's and transformers' sources",
        confidence=0.6,
        refuted_by="A run at ten times this rate, same seed: its eval loss is no better.",
        judge=_lr_low,
        lora_only=True,
    ),
    Rule(
        code="GR110",
        action="fix_weight_decay",
        scope="optimizer.weight_decay",
        rationale="Weight decay pulls s·B·A to zero; LoRA recipes use 0 to 0.1.",
        source="QLoRA (arXiv 2305.14314) uses 0; Axolotl's training stability guide",
        confidence=0.6,
        refuted_by="A run with weight decay 0, same seed: its eval loss is no better.",
        judge=_weight_decay,
    ),
    Rule(
        code="GR401",
        action="set_max_grad_norm",
        scope="training.max_grad_norm",
        rationale="One bad batch without clipping can cost the run.",
        source="openvla/openvla#334: eval 0 % without clipping, 56 % with, both at 10k steps; "
        "QLoRA (arXiv 2305.14314) uses 0.3",
        confidence=0.7,
        refuted_by="The gradient norms of a finished run never exceed ten times their median.",
        judge=_no_clipping,
    ),
    Rule(
        code="GR402",
        action="prefer_bf16",
        scope="training.dtype",
        rationale="fp16 has turned runs into NaN that bf16 trained without a change.",
        source="Lightning-AI/lit-llama#294; huggingface/peft#1522; PEFT's troubleshooting guide",
        confidence=0.5,
        refuted_by="The run's record shows no non-finite gradient and no skipped step.",
        judge=_fp16,
    ),
)
"""The rules of this family, in the order in which they are reported."""
