"""Rules on how much data a run sees, and whether it can tell when to stop."""

import math

from gradience.core.checking.policy import REINFORCEMENT, CheckPolicy
from gradience.core.checking.readings import number, text, written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.numbers import real_number
from gradience.core.severity import Severity


def _epochs(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    epochs = real_number(subject.config.training.epochs)
    if epochs is None or subject.config.training.max_steps is not None:
        return None
    if not policy.epochs_high < epochs < math.inf or subject.objective in REINFORCEMENT:
        return None
    evidence = {"epochs": epochs, "epochs_high": policy.epochs_high}
    if subject.easy_task and epochs < policy.epochs_extreme:
        return None
    if epochs >= policy.epochs_extreme and not subject.easy_task:
        return Verdict(
            Severity.WARNING,
            f"{written(epochs)} epochs: the model will see every example that often and is likely "
            "to memorise; 1 to 3 are usual",
            evidence,
        )
    return Verdict(
        Severity.INFO,
        f"{written(epochs)} epochs, where 1 to 3 are usual for instruction data: watch the eval "
        "loss",
        evidence,
    )


def _no_eval(subject: Subject, _: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    strategy = text(extras, "eval_strategy")
    chosen = subject.default_of("training.extras.eval_strategy") is None
    off = chosen and (strategy == "no" or extras.get("eval_strategy") is False)
    held_out = number(extras, "val_set_size")
    if subject.objective in REINFORCEMENT or not (off or held_out == 0):
        return None
    if held_out is not None and held_out > 0:
        return None
    return Verdict(
        Severity.INFO,
        "nothing is evaluated during the run: overfitting cannot be seen",
        {"eval_strategy": strategy, "val_set_size": held_out},
    )


def _capacity(subject: Subject, policy: CheckPolicy) -> Verdict | None:
    trained = None if subject.model is None else subject.model.trainable_params
    tokens = subject.most_tokens
    if not trained or tokens is None or subject.objective in REINFORCEMENT:
        return None
    if not policy.tokens_per_parameter * trained < tokens < math.inf:
        return None
    return Verdict(
        Severity.INFO,
        f"up to {tokens:.2g} tokens for {trained:.2g} trained parameters: a data set beyond the "
        "adapter's capacity wants a higher rank",
        {"tokens_at_most": tokens, "trainable_params": trained},
    )


def _continued_pretraining(subject: Subject, _: CheckPolicy) -> Verdict | None:
    if subject.objective != "pretrain" or not subject.has_adapter:
        return None
    return Verdict(
        Severity.INFO,
        "continued pre-training with LoRA, which has learnt less than full fine-tuning there; "
        "ranks up to 256 on all linear layers came closest",
        {"objective": "pretrain", "max_rank": subject.max_rank},
    )


RULES = (
    Rule(
        code="GR601",
        name="many-epochs",
        summary="Many passes over the data.",
        severity=Severity.WARNING,
        action="review_epochs",
        scope="training.epochs",
        rationale="Repeated data is memorised. A warning only far beyond the usual.",
        source="Unsloth's guide: 1 to 3; QwenLM/Qwen#785: 150 epochs over 1.3k rows; the edges "
        "are inferred",
        confidence=0.4,
        refuted_by="The eval loss of the run is lowest in its last epoch.",
        judge=_epochs,
        speaks="training: {epochs: 5}",
        silent="training: {epochs: 3}",
        thresholds=("epochs_high", "epochs_extreme"),
    ),
    Rule(
        code="GR602",
        name="no-evaluation",
        summary="Nothing is held out and evaluated.",
        severity=Severity.INFO,
        action="log_train_test_ppl",
        scope="training.eval_strategy",
        rationale="Without a held-out loss nobody sees where training should have stopped.",
        source="inferred: overfitting is a difference between two losses, and one is not measured",
        confidence=0.9,
        refuted_by="The model is evaluated on held-out data outside the run.",
        judge=_no_eval,
        speaks="training: {extras: {val_set_size: 0}}",
        silent="training: {extras: {val_set_size: 0.05, eval_strategy: 'no'}}",
    ),
    Rule(
        code="GR603",
        name="capacity",
        summary="Far more tokens than trained parameters.",
        severity=Severity.INFO,
        action="set_rank",
        scope="lora.r",
        rationale="Rank is capacity: LoRA falls behind where the data exceed it.",
        source="Tinker's heuristic (a secondary copy); TRL's guide LoRA Without Regret; the edge "
        "is inferred. Tokens are bounded by steps x batch x length",
        confidence=0.3,
        refuted_by="A run at twice the rank, same seed: its eval loss is no better.",
        judge=_capacity,
        speaks="{training: {batch_size: 32, max_steps: 9999, extras: {max_length: 2048}}, "
        "model_fit: {trainable_params: 1000000}}",
        silent="{training: {batch_size: 1, max_steps: 99, extras: {max_length: 2048}}, "
        "model_fit: {trainable_params: 1000000}}",
        thresholds=("tokens_per_parameter",),
        lora_only=True,
    ),
    Rule(
        code="GR604",
        name="continued-pre-training",
        summary="LoRA for continued pre-training.",
        severity=Severity.INFO,
        action="review_finetuning",
        scope="extras.finetuning",
        rationale="Full fine-tuning changes weights by an update of much higher rank than LoRA's.",
        source="Biderman et al. 2024 (arXiv 2405.09673); the ranks of the updates in a secondary "
        "copy",
        confidence=0.4,
        refuted_by="A full fine-tuning on the same tokens: its held-out loss is no better.",
        judge=_continued_pretraining,
        speaks="{lora: {r: 16}, training: {extras: {objective: pretrain}}}",
        silent="{lora: {r: 16}, training: {extras: {objective: sft}}}",
        lora_only=True,
    ),
)
"""The rules of this family, in the order in which they are reported."""
