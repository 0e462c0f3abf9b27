"""Rules on clipping, warm-up, batch, dropout, and what a log hides."""

import math

from gradience.core.checking.policy import REINFORCEMENT, CheckPolicy
from gradience.core.checking.readings import finite, number, written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.numbers import real_number
from gradience.core.severity import Severity

_RECIPES_UNCLIPPED = frozenset({"torchtune"})
"""Tools whose own recipes come with clipping switched off."""


def _no_clipping(subject: Subject, _: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    if "max_grad_norm" not in extras:
        return None
    norm = number(extras, "max_grad_norm")
    if extras["max_grad_norm"] is not None and (norm is None or norm > 0):
        return None
    if norm is None and subject.tool in _RECIPES_UNCLIPPED:
        return Verdict(
            Severity.INFO,
            f"gradient clipping is off, as in {subject.tool}'s own recipes; 1.0 is usual elsewhere",
            {"max_grad_norm": norm},
        )
    return Verdict(Severity.WARNING, "gradient clipping is off", {"max_grad_norm": norm})


def _no_warmup(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    steps, ratio = number(extras, "warmup_steps"), number(extras, "warmup_ratio")
    given = [value for value in (steps, ratio) if value is not None]
    lr = real_number(subject.config.optimizer.lr)
    if not given or any(value != 0 for value in given) or lr is None or not lr >= policy.warmup_lr:
        return None
    return Verdict(
        Severity.INFO,
        f"no warm-up at learning rate {lr:g}; recipes warm up for 3 to 10 % of the steps",
        {"lr": lr, "warmup_lr": policy.warmup_lr},
    )


def _warmup_too_long(subject: Subject, _: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    steps, ratio = finite(extras, "warmup_steps"), finite(extras, "warmup_ratio")
    total = real_number(subject.config.training.max_steps)
    if steps is not None and steps >= 1:
        if total is None or not 1 <= total <= steps:
            return None
        said = f"warm-up takes {written(steps)} steps of {written(total)}"
        evidence = {"warmup_steps": steps, "max_steps": total}
    elif ratio is not None and ratio >= 1:
        said, evidence = f"warmup_ratio {ratio:g} is the whole run", {"warmup_ratio": ratio}
    else:
        return None
    return Verdict(Severity.WARNING, f"{said}: the rate never comes to its peak", evidence)


def _batch(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    batch = subject.effective_batch
    if batch is None or not subject.has_adapter or subject.objective in REINFORCEMENT:
        return None
    if not policy.batch_high < batch < math.inf:
        return None
    return Verdict(
        Severity.INFO,
        f"{written(batch)} examples per step; LoRA is reported to tolerate large batches less than "
        f"full fine-tuning, whatever its rank, and TRL's guide stays below {policy.batch_high:g}",
        {"effective_batch": batch, "batch_high": policy.batch_high},
    )


def _dropout(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    dropout = real_number(subject.config.lora.dropout)
    if dropout is None or not policy.dropout_high < dropout < 1:
        return None
    return Verdict(
        Severity.INFO,
        f"LoRA dropout {dropout:g} is above what published recipes use, 0 to 0.1",
        {"dropout": dropout, "dropout_high": policy.dropout_high},
    )


def _nan_filter(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.config.training.extras.get("logging_nan_inf_filter") is not True:
        return None
    return Verdict(
        Severity.INFO,
        "logging_nan_inf_filter is on: a loss that is NaN will not show in the log. Set it to "
        "false, or record the run with Gradience's callback, which looks before the filter",
        {"logging_nan_inf_filter": True},
    )


RULES = (
    Rule(
        code="GR401",
        name="no-clipping",
        summary="Gradient clipping is switched off.",
        severity=Severity.WARNING,
        action="set_max_grad_norm",
        scope="training.max_grad_norm",
        rationale="One bad batch without clipping can cost the run. Only a remark where a tool's "
        "own recipes leave clipping off.",
        source="openvla/openvla#334: eval 0 % without clipping, 56 % with, both at 10k steps; "
        "QLoRA (arXiv 2305.14314) uses 0.3",
        confidence=0.7,
        refuted_by="The gradient norms of a finished run never exceed ten times their median.",
        judge=_no_clipping,
        speaks="training: {extras: {max_grad_norm: 0}}",
        silent="training: {extras: {max_grad_norm: 1.0}}",
    ),
    Rule(
        code="GR403",
        name="no-warmup",
        summary="A LoRA-sized learning rate without warm-up.",
        severity=Severity.INFO,
        action="set_warmup",
        scope="training.warmup",
        rationale="Adam's first steps have the size of the rate, whatever the gradient.",
        source="QLoRA (arXiv 2305.14314): 3 %; Axolotl's training stability guide: 5 to 10 %; that "
        "its absence is worth a word from 1e-4 on is inferred",
        confidence=0.3,
        refuted_by="The loss of a run without warm-up falls from the first step.",
        judge=_no_warmup,
        speaks="{optimizer: {lr: 2.0e-4}, training: {extras: {warmup_ratio: 0, warmup_steps: 0}}}",
        silent="{optimizer: {lr: 2.0e-4}, training: {extras: {warmup_ratio: 0, warmup_steps: 9}}}",
        thresholds=("warmup_lr",),
    ),
    Rule(
        code="GR404",
        name="warmup-too-long",
        summary="The warm-up is as long as the run.",
        severity=Severity.WARNING,
        action="set_warmup",
        scope="training.warmup",
        rationale="The rate rises until warm-up ends; a run that ends before trains at a fraction.",
        source="The schedules of the transformers package (get_scheduler), 5.23",
        confidence=0.9,
        refuted_by="The recorded rate reaches the configured one.",
        judge=_warmup_too_long,
        speaks="training: {max_steps: 100, extras: {warmup_steps: 100}}",
        silent="training: {max_steps: 101, extras: {warmup_steps: 100}}",
    ),
    Rule(
        code="GR405",
        name="large-batch",
        summary="A large effective batch with LoRA.",
        severity=Severity.INFO,
        action="consider_smaller_batch",
        scope="training.batch_size",
        rationale="Per device x accumulation x processes. The penalty does not go away with rank.",
        source="TRL's guide LoRA Without Regret reads Thinking Machines 2025 as below 32; the text "
        "itself names no fixed cut-off (a secondary copy)",
        confidence=0.3,
        refuted_by="A run at half the batch with as many examples: its eval loss is no better.",
        judge=_batch,
        speaks="{lora: {r: 8}, training: {batch_size: 8, gradient_accumulation: 8}}",
        silent="{lora: {r: 8}, training: {batch_size: 4, gradient_accumulation: 8}}",
        thresholds=("batch_high",),
        lora_only=True,
    ),
    Rule(
        code="GR406",
        name="dropout-high",
        summary="LoRA dropout above published recipes.",
        severity=Severity.INFO,
        action="consider_lower_dropout",
        scope="lora.dropout",
        rationale="PEFT, LLaMA-Factory and torchtune default to none.",
        source="QLoRA's scripts: 0.1 at 7B, 0.05 above (the paper's text says 0.05 helped at 7B "
        "and 13B and not beyond); the edge is inferred",
        confidence=0.3,
        refuted_by="A run at 0.05, same seed: its eval loss is no better.",
        judge=_dropout,
        speaks="lora: {dropout: 0.3}",
        silent="lora: {dropout: 0.2}",
        thresholds=("dropout_high",),
        lora_only=True,
    ),
    Rule(
        code="GR407",
        name="nan-filter",
        summary="The Trainer's filter hides a non-finite loss from the log.",
        severity=Severity.INFO,
        action="disable_nan_filter",
        scope="training.logging_nan_inf_filter",
        rationale="The filter replaces a non-finite loss by the running mean, while backward and "
        "the optimizer's step still run.",
        source="huggingface/trl#6702; getainode/ainode#186",
        confidence=0.9,
        refuted_by="A run whose loss was NaN and whose log, with the filter on, says so.",
        judge=_nan_filter,
        speaks="training: {extras: {logging_nan_inf_filter: true}}",
        silent="training: {extras: {logging_nan_inf_filter: false}}",
        optional=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
