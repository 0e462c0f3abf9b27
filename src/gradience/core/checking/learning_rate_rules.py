"""Rules on the learning rate and weight decay."""

import math

from gradience.core.checking.policy import PREFERENCE, CheckPolicy, RateBand
from gradience.core.checking.readings import finite, text, written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.numbers import real_number
from gradience.core.severity import Severity

_RATE = "optimizer.lr"

_HUGGING_FACE = (None, "trl")
"""Whose rates may be the defaults of Hugging Face's classes: no other tool, or TRL."""


def _rate(subject: Subject) -> float | None:
    return real_number(subject.config.optimizer.lr)


def _band(subject: Subject, policy: CheckPolicy) -> RateBand | None:
    """The published rates of the objective's family; None for supervised and unknown ones."""
    return next((band for band in policy.rate_bands if subject.objective in band.objectives), None)


def _missing(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.config.optimizer.lr is not None:
        return None
    if subject.tool == "trl" and subject.has_adapter:
        return Verdict(
            Severity.WARNING,
            "no learning rate is given; TRL's defaults, 2e-5 for SFT and 1e-6 for DPO and GRPO, "
            "are for full fine-tuning",
        )
    return Verdict(Severity.INFO, "no learning rate is given, so it was not checked")


def _extreme(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = _rate(subject)
    if lr is None:
        return None
    if not lr > 0:
        return Verdict(Severity.ERROR, f"learning rate {lr:g} trains nothing", {"lr": lr})
    if lr < policy.lr_extreme or subject.other_adapter is not None:
        return None
    return Verdict(
        Severity.ERROR,
        f"learning rate {lr:g} is far beyond any published LoRA recipe",
        {"lr": lr, "lr_extreme": policy.lr_extreme},
    )


def _high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = _rate(subject)
    if lr is None or not policy.lr_high < lr < policy.lr_extreme:
        return None
    return Verdict(
        Severity.WARNING,
        f"learning rate {lr:g} is above {policy.lr_high:g}, where published LoRA sweeps end "
        f"({lr / policy.lr_low:.0f} times the usual {policy.lr_low:g} of full fine-tuning)",
        {"lr": lr, "lr_high": policy.lr_high, "relative_to_full": lr / policy.lr_low},
    )


def _low(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = _rate(subject)
    if lr is None or not lr > 0 or not subject.has_adapter:
        return None
    band = _band(subject, policy)
    if band is not None:
        return _low_in_band(lr, band, subject)
    owner = subject.default_of(_RATE)
    if owner is None and _made_up_for(lr, subject, policy):
        return None
    framework = dict(policy.framework_rates).get(lr)
    if owner is not None and (framework is not None or lr <= policy.lr_low):
        severity = Severity.WARNING if lr <= policy.lr_low else Severity.INFO
        said = f"is the default of {owner}, chosen for full fine-tuning, as none is given"
    elif framework is not None and subject.tool in _HUGGING_FACE:
        severity = Severity.INFO
        said = f"is the default of {framework}, for full fine-tuning: set it deliberately"
    elif lr <= policy.lr_low:
        supervised = subject.objective == "sft" and lr < policy.lr_low and not subject.easy_task
        severity = Severity.WARNING if supervised else Severity.INFO
        said = "is one for full fine-tuning"
    else:
        return None
    exception = ""
    if subject.objective is None and not subject.easy_task:
        exception = " (preference and reinforcement learning do use such rates)"
    return Verdict(
        severity,
        f"learning rate {lr:g} {said}; supervised LoRA usually wants about ten times what full "
        f"fine-tuning does{exception}",
        {"lr": lr, "lr_low": policy.lr_low},
    )


def _made_up_for(lr: float, subject: Subject, policy: CheckPolicy) -> bool:
    """Whether a large scaling makes up for a low rate: under Adam ΔW moves by s times the rate."""
    scaling = subject.scaling
    if scaling is None or not scaling > policy.scaling_high:
        return False
    return lr * scaling / policy.scaling_usual > policy.lr_low


def _low_in_band(lr: float, band: RateBand, subject: Subject) -> Verdict | None:
    if lr > band.full:
        return None
    owner = subject.default_of(_RATE)
    whose = f", the default of {owner}," if owner else ""
    return Verdict(
        Severity.INFO,
        f"learning rate {lr:g}{whose} is one for full fine-tuning by {subject.objective}; TRL's "
        f"PEFT guide gives {band.named} {band.lora:g} with LoRA",
        {"lr": lr, "full_start": band.full, "lora_start": band.lora},
    )


def _full_high(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = _rate(subject)
    if lr is None or not subject.trains_base or subject.objective == "pretrain":
        return None
    if not policy.lr_full_high < lr < policy.lr_extreme:
        return None
    return Verdict(
        Severity.INFO,
        f"learning rate {lr:g} is high for fine-tuning the base weights themselves, where 1e-5 to "
        "5e-5 are usual: was it chosen for LoRA?",
        {"lr": lr, "lr_full_high": policy.lr_full_high},
    )


def _above_band(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr, band = _rate(subject), _band(subject, policy)
    if lr is None or band is None:
        return None
    start = band.full if subject.trains_base else band.lora
    if not start * policy.band_excess < lr < policy.lr_extreme:
        return None
    others = ""
    if subject.objective in PREFERENCE and not subject.trains_base:
        others = " (examples of Axolotl and torchtune do train with 1e-4 to 5e-4)"
    return Verdict(
        Severity.INFO,
        f"learning rate {lr:g} for {subject.objective} is {lr / start:.0f} times the {start:g} "
        f"that TRL's PEFT guide gives {band.named}{others}: watch the rewards and the divergence "
        "from the reference model",
        {"lr": lr, "start": start},
    )


def _lora_plus(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr = _rate(subject)
    ratio = finite(subject.config.optimizer.extras, "loraplus_lr_ratio")
    if lr is None or ratio is None or lr >= policy.lr_extreme or lr * ratio < policy.lr_extreme:
        return None
    return Verdict(
        Severity.INFO,
        f"LoRA+ trains B at {ratio:g} times the rate, {lr * ratio:g}: lower the base rate with it",
        {"lr": lr, "loraplus_lr_ratio": ratio, "lr_of_b": lr * ratio},
    )


def _pissa(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    lr, init = _rate(subject), text(subject.config.lora.extras, "init_lora_weights")
    if lr is None or init is None or not init.startswith("pissa"):
        return None
    if not policy.lr_start < lr < policy.lr_extreme:
        return None
    return Verdict(
        Severity.INFO,
        f"learning rate {lr:g} with PiSSA, which has been reported to want a lower rate than LoRA",
        {"lr": lr, "init_lora_weights": init},
    )


def _weight_decay(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    decay = real_number(subject.config.optimizer.weight_decay)
    if decay is None or not math.isfinite(decay):
        return None
    evidence = {"weight_decay": decay, "weight_decay_high": policy.weight_decay_high}
    if decay < 0:
        return Verdict(Severity.ERROR, f"weight decay {written(decay)} is negative", evidence)
    other = subject.other_adapter is not None or subject.trains_base
    if decay <= policy.weight_decay_high or other:
        return None
    return Verdict(
        Severity.WARNING,
        f"weight decay {decay:g} is above {policy.weight_decay_high:g} and may hold the "
        "adapter near zero",
        evidence,
    )


RULES = (
    Rule(
        code="GR100",
        name="lr-missing",
        summary="No learning rate is given.",
        severity=Severity.WARNING,
        action="set_lr",
        scope=_RATE,
        rationale="The learning rate decides more than any other setting. A warning only where "
        "the tool then takes one for full fine-tuning.",
        source="Biderman et al. 2024 (arXiv 2405.09673); the defaults of the trl package, 1.16",
        confidence=1.0,
        refuted_by="Nothing to refute: a value is missing.",
        judge=_missing,
        speaks="{}",
        silent="optimizer: {lr: 2.0e-4}",
    ),
    Rule(
        code="GR101",
        name="lr-extreme",
        summary="The learning rate trains nothing, or is beyond any published recipe.",
        severity=Severity.ERROR,
        action="lower_lr",
        scope=_RATE,
        rationale="No published LoRA recipe comes near such a rate; zero, a negative rate or NaN "
        "trains nothing.",
        source="Biderman et al. 2024 (arXiv 2405.09673): best rates lie between 5e-5 and 5e-4",
        confidence=0.8,
        refuted_by="Twenty steps at this rate: the loss falls and stays down.",
        judge=_extreme,
        speaks="optimizer: {lr: 0.01}",
        silent="optimizer: {lr: 0.009}",
        thresholds=("lr_extreme",),
    ),
    Rule(
        code="GR102",
        name="lr-high",
        summary="The learning rate is above where published LoRA sweeps end.",
        severity=Severity.WARNING,
        action="consider_lower_lr",
        scope=_RATE,
        rationale="Published sweeps of LoRA's rate find their best at or below 5e-4.",
        source="Biderman et al. 2024 (arXiv 2405.09673); QwenLM/Qwen#785 went wrong with 3e-3",
        confidence=0.6,
        refuted_by="A run at a third of this rate, same seed: its eval loss is no better.",
        judge=_high,
        speaks="optimizer: {lr: 6.0e-4}",
        silent="optimizer: {lr: 5.0e-4}",
        thresholds=("lr_high", "lr_extreme", "lr_low"),
        lora_only=True,
    ),
    Rule(
        code="GR103",
        name="lr-of-full-fine-tuning",
        summary="LoRA with a learning rate of full fine-tuning, or a framework's default.",
        severity=Severity.WARNING,
        action="set_lr",
        scope=_RATE,
        rationale="LoRA's best rate is about ten times that of full fine-tuning. A warning where "
        "nobody chose the rate, which is a tool's default at or below that of full fine-tuning, "
        "and where the run is known to be supervised and its rate is below it.",
        source="TRL's PEFT guide, after Thinking Machines 2025; Biderman et "
        "al. 2024 (arXiv 2405.09673); the defaults are those in TRL's and transformers' sources",
        confidence=0.6,
        refuted_by="A run at ten times this rate, same seed: its eval loss is no better.",
        judge=_low,
        speaks="{optimizer: {lr: 2.0e-5}, lora: {r: 8}}",
        silent="{optimizer: {lr: 2.1e-5}, lora: {r: 8}}",
        thresholds=("lr_low", "framework_rates", "rate_bands", "scaling_high", "scaling_usual"),
        lora_only=True,
    ),
    Rule(
        code="GR104",
        name="lr-high-for-full-fine-tuning",
        summary="Full fine-tuning with a learning rate that looks like LoRA's.",
        severity=Severity.INFO,
        action="consider_lower_lr",
        scope=_RATE,
        rationale="Full fine-tuning wants about a tenth of LoRA's rate.",
        source="TRL's PEFT guide: SFT at 2e-5; Axolotl's training stability guide: 1e-5 to 5e-5. "
        "The edge is inferred: the alignment handbook trains SmolLM2 1.7B with 3e-4",
        confidence=0.4,
        refuted_by="A run at a tenth of this rate, same seed: its eval loss is no better.",
        judge=_full_high,
        speaks="{optimizer: {lr: 1.0e-3}, extras: {finetuning: full}}",
        silent="{optimizer: {lr: 1.0e-4}, extras: {finetuning: full}}",
        thresholds=("lr_full_high", "lr_extreme"),
    ),
    Rule(
        code="GR105",
        name="lr-of-supervised-training",
        summary="Preference or reinforcement learning at a rate of supervised training.",
        severity=Severity.INFO,
        action="consider_lower_lr",
        scope=_RATE,
        rationale="Preference and reinforcement objectives are trained at a tenth or less of the "
        "supervised rate, but sources disagree: several tools' own examples use the "
        "supervised one.",
        source="TRL's PEFT guide: DPO 5e-6, GRPO 1e-5 with LoRA; Unsloth: 5e-6 for RL; against "
        "it the example configurations of Axolotl and torchtune. The edge is inferred",
        confidence=0.4,
        refuted_by="A run at the guide's rate, same seed: its held-out rewards are no better.",
        judge=_above_band,
        speaks="{optimizer: {lr: 2.0e-4}, training: {extras: {objective: dpo}}}",
        silent="{optimizer: {lr: 5.0e-5}, training: {extras: {objective: dpo}}}",
        thresholds=("rate_bands", "band_excess", "lr_extreme"),
    ),
    Rule(
        code="GR106",
        name="lora-plus-rate",
        summary="LoRA+ gives B a learning rate beyond any published recipe.",
        severity=Severity.INFO,
        action="consider_lower_lr",
        scope=_RATE,
        rationale="LoRA+ multiplies B's rate by its ratio, 16 in PEFT's example.",
        source="LoRA+ (arXiv 2402.12354); the edge is inferred",
        confidence=0.4,
        refuted_by="Twenty steps at these rates: the loss falls and stays down.",
        judge=_lora_plus,
        speaks="optimizer: {lr: 1.0e-3, extras: {loraplus_lr_ratio: 16}}",
        silent="optimizer: {lr: 1.0e-4, extras: {loraplus_lr_ratio: 16}}",
        thresholds=("lr_extreme",),
        lora_only=True,
    ),
    Rule(
        code="GR107",
        name="pissa-rate",
        summary="PiSSA with a learning rate above LoRA's usual start.",
        severity=Severity.INFO,
        action="consider_lower_lr",
        scope=_RATE,
        rationale="PiSSA starts from the weight's largest singular directions and moves them.",
        source="arXiv 2602.04998: PiSSA wants a lower rate than LoRA; the edge is inferred",
        confidence=0.3,
        refuted_by="A run at half this rate, same seed: its eval loss is no better.",
        judge=_pissa,
        speaks="{optimizer: {lr: 3.0e-4}, lora: {extras: {init_lora_weights: pissa}}}",
        silent="{optimizer: {lr: 2.0e-4}, lora: {extras: {init_lora_weights: pissa}}}",
        thresholds=("lr_start", "lr_extreme"),
        lora_only=True,
    ),
    Rule(
        code="GR110",
        name="weight-decay-high",
        summary="Weight decay is negative, or so high that it may hold the adapter near zero.",
        severity=Severity.ERROR,
        action="fix_weight_decay",
        scope="optimizer.weight_decay",
        rationale="Weight decay pulls s·B·A to zero; LoRA recipes use 0 to 0.1.",
        source="QLoRA (arXiv 2305.14314) uses 0; Axolotl's training stability guide",
        confidence=0.6,
        refuted_by="A run with weight decay 0, same seed: its eval loss is no better.",
        judge=_weight_decay,
        speaks="optimizer: {weight_decay: 0.2}",
        silent="optimizer: {weight_decay: 0.1}",
        thresholds=("weight_decay_high",),
    ),
)
"""The rules of this family, in the order in which they are reported."""
