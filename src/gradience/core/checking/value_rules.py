"""Rules on the configuration as a whole: the adapter's type, values and settings that cannot be."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.readings import finite, flag, names, number, text, written
from gradience.core.checking.rule import Rule, Verdict
from gradience.core.checking.subject import Subject
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.vocabulary import ALL_LINEAR
from gradience.core.numbers import real_number
from gradience.core.severity import Severity

_MAKE_LOFTQ = frozenset({"unsloth"})
"""Tools that make the loftq_config themselves."""

_HF_EPOCHS = 3.0
"""Default of num_train_epochs: what a dump of TrainingArguments holds where nobody gave it."""


class _Possible(NamedTuple):
    """What a value can be."""

    words: str
    test: Callable[[float], bool]


_FINITE = _Possible("a finite number", math.isfinite)
_POSITIVE = _Possible("finite and above 0", lambda value: math.isfinite(value) and value > 0)
_FRACTION = _Possible("at least 0 and below 1", lambda value: 0 <= value < 1)
_COUNT = _Possible("at least 1", lambda value: value >= 1)


def _values(config: ConfigSnapshot) -> Iterator[tuple[str, float | None, _Possible]]:
    """The values that are judged; the rank has a rule of its own."""
    optimizer, lora, training = config.optimizer, config.lora, config.training
    yield "optimizer.lr", optimizer.lr, _FINITE
    yield "optimizer.weight_decay", optimizer.weight_decay, _FINITE
    yield "lora.alpha", lora.alpha, _POSITIVE
    yield "lora.dropout", lora.dropout, _FRACTION
    yield "training.batch_size", training.batch_size, _COUNT
    yield "training.gradient_accumulation", training.gradient_accumulation, _COUNT
    yield "training.max_steps", training.max_steps, _COUNT
    yield "training.epochs", training.epochs, _POSITIVE


def _impossible(subject: Subject, _: CheckPolicy) -> Verdict | None:
    wrong = [
        (name, value, possible.words)
        for name, value, possible in _values(subject.config)
        if (real := real_number(value)) is not None and not possible.test(real)
    ]
    if not wrong:
        return None
    listed = "; ".join(f"{name} is {written(value)}, not {words}" for name, value, words in wrong)
    evidence = {"values": {name: value for name, value, _ in wrong}}
    return Verdict(Severity.ERROR, f"values outside their range: {listed}", evidence)


def _other_adapter(subject: Subject, _: CheckPolicy) -> Verdict | None:
    kind = subject.other_adapter
    if kind is None:
        return None
    return Verdict(
        Severity.INFO,
        f"the adapter is of type {kind}: LoRA rules were not applied",
        {"peft_type": kind},
    )


def _adapter_unused(subject: Subject, _: CheckPolicy) -> Verdict | None:
    lora = subject.config.lora
    given = [
        name
        for name, value in (("r", lora.r), ("target_modules", lora.target_modules))
        if value is not None and subject.default_of(f"lora.{name}") is None
    ]
    if not subject.trains_base or not given:
        return None
    kind = text(subject.config.extras, "finetuning")
    return Verdict(
        Severity.INFO,
        f"fine-tuning is {kind}, so LoRA's {' and '.join(given)} will not be used",
        {"finetuning": kind, "unused": given},
    )


def _refusals(subject: Subject) -> Iterator[str]:
    """What PEFT's LoraConfig raises on."""
    lora = subject.config.lora
    extras, init = lora.extras, subject.init
    expression = isinstance(lora.target_modules, str) and lora.target_modules != ALL_LINEAR
    layers = extras.get("layers_to_transform")
    if expression and layers is not None:
        yield "layers_to_transform with target_modules as one string"
    if expression and extras.get("layers_pattern"):
        yield "layers_pattern with target_modules as one string"
    if extras.get("layers_pattern") and layers is None:
        yield "layers_pattern without layers_to_transform"
    if init == "loftq" and not extras.get("loftq_config") and subject.tool not in _MAKE_LOFTQ:
        yield "init_lora_weights=loftq without loftq_config"
    if flag(extras, "lora_bias") and isinstance(init, str):
        yield f"lora_bias with init_lora_weights={init}"
    if flag(extras, "lora_bias") and flag(extras, "use_dora"):
        yield "lora_bias with DoRA"


def _refused(subject: Subject, _: CheckPolicy) -> Verdict | None:
    refused = list(_refusals(subject))
    if not refused:
        return None
    return Verdict(Severity.ERROR, f"PEFT refuses {'; '.join(refused)}", {"refused": refused})


def _steps_over_epochs(subject: Subject, _: CheckPolicy) -> Verdict | None:
    training = subject.config.training
    epochs = real_number(training.epochs)
    given = epochs not in (None, _HF_EPOCHS) and subject.default_of("training.epochs") is None
    if not given or training.max_steps is None or subject.tool == "torchtune":
        return None
    return Verdict(
        Severity.INFO,
        f"max_steps {written(training.max_steps)} and {written(epochs)} epochs are both given; "
        "max_steps decides",
        {"max_steps": training.max_steps, "epochs": epochs},
    )


def _best_without_eval(subject: Subject, _: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    evaluated, saved = text(extras, "eval_strategy"), text(extras, "save_strategy") or "steps"
    if not flag(extras, "load_best_model_at_end") or evaluated is None or saved == "best":
        return None
    evidence = {"eval_strategy": evaluated, "save_strategy": saved}
    if evaluated == "no":
        said = "needs an evaluation to choose by, and eval_strategy is no"
    elif evaluated != saved:
        said = f"needs the same rhythm for both: eval_strategy is {evaluated}, saving {saved}"
    elif evaluated == "steps" and _uneven(subject):
        said = "needs save_steps to be a multiple of eval_steps"
    else:
        return None
    return Verdict(Severity.ERROR, f"load_best_model_at_end {said}: the Trainer refuses", evidence)


def _uneven(subject: Subject) -> bool:
    extras = subject.config.training.extras
    evaluated, saved = finite(extras, "eval_steps"), finite(extras, "save_steps")
    if evaluated is None or saved is None or evaluated < 1 or saved < 1:
        return False
    return saved % evaluated != 0


def _eval_after_end(subject: Subject, _: CheckPolicy) -> Verdict | None:
    extras = subject.config.training.extras
    steps = real_number(subject.config.training.max_steps)
    every = number(extras, "eval_steps")
    if text(extras, "eval_strategy") != "steps" or steps is None or every is None:
        return None
    if not 1 <= steps < every:
        return None
    return Verdict(
        Severity.INFO,
        f"evaluated every {written(every)} steps of {written(steps)}: at the end, if at all",
        {"eval_steps": every, "max_steps": steps},
    )


def _unread(subject: Subject, _: CheckPolicy) -> Verdict | None:
    unread = names(subject.config.extras, "unread")
    if not unread:
        return None
    return Verdict(
        Severity.INFO,
        f"not understood, and not checked: {', '.join(unread)}",
        {"unread": list(unread)},
    )


RULES = (
    Rule(
        code="GR900",
        name="other-adapter",
        summary="The adapter is of another type than LoRA.",
        severity=Severity.INFO,
        action="review_adapter_type",
        scope="config",
        rationale="The evidence behind the rules on rates, targets, rank and scaling is from LoRA.",
        source="inferred: every study that those rules cite adapts by LoRA",
        confidence=1.0,
        refuted_by="The adapter's peft_type is LORA after all.",
        judge=_other_adapter,
        speaks="extras: {peft_type: IA3}",
        silent="extras: {peft_type: LORA}",
    ),
    Rule(
        code="GR901",
        name="impossible-value",
        summary="A value outside its range.",
        severity=Severity.ERROR,
        action="fix_value",
        scope="config",
        rationale="A value outside its range makes the run fail at once or train nothing.",
        source="inferred from what the values mean: counts, a probability, finite factors",
        confidence=1.0,
        refuted_by="A run that was made with just these values.",
        judge=_impossible,
        speaks="lora: {dropout: 1.0}",
        silent="lora: {dropout: 0.99}",
    ),
    Rule(
        code="GR908",
        name="refused-by-peft",
        summary="Settings that PEFT refuses together.",
        severity=Severity.ERROR,
        action="fix_value",
        scope="lora",
        rationale="LoraConfig raises before training begins.",
        source="The PEFT package's LoraConfig.__post_init__, 0.21",
        confidence=0.9,
        refuted_by="LoraConfig is made from these settings without an error.",
        judge=_refused,
        speaks="lora: {extras: {lora_bias: true, use_dora: true}}",
        silent="lora: {extras: {lora_bias: true, use_dora: false}}",
        lora_only=True,
    ),
    Rule(
        code="GR909",
        name="steps-over-epochs",
        summary="Both max_steps and epochs are given.",
        severity=Severity.INFO,
        action="review_length",
        scope="training.max_steps",
        rationale="One of the two is without effect, and may be the one that was meant.",
        source="The transformers package's Trainer, 5.23: max_steps overrides num_train_epochs",
        confidence=0.9,
        refuted_by="The run's length is that of the epochs.",
        judge=_steps_over_epochs,
        speaks="training: {max_steps: 10, epochs: 2}",
        silent="training: {max_steps: 10, epochs: 3}",
    ),
    Rule(
        code="GR910",
        name="best-model-without-evaluation",
        summary="load_best_model_at_end without evaluations to choose by.",
        severity=Severity.ERROR,
        action="fix_value",
        scope="training.load_best_model_at_end",
        rationale="The Trainer checks this when its arguments are made.",
        source="The transformers package's TrainingArguments, 5.23",
        confidence=0.9,
        refuted_by="TrainingArguments is made from these settings without an error.",
        judge=_best_without_eval,
        speaks="training: {extras: {load_best_model_at_end: true, eval_strategy: 'no'}}",
        silent="training: {extras: {load_best_model_at_end: true, eval_strategy: steps}}",
    ),
    Rule(
        code="GR911",
        name="evaluation-after-the-end",
        summary="The first evaluation would come after the last step.",
        severity=Severity.INFO,
        action="review_length",
        scope="training.eval_steps",
        rationale="A curve of one point shows no overfitting.",
        source="The transformers package's DefaultFlowCallback, 5.23",
        confidence=0.8,
        refuted_by="The run's record holds more than one evaluation.",
        judge=_eval_after_end,
        speaks="training: {max_steps: 99, extras: {eval_strategy: steps, eval_steps: 100}}",
        silent="training: {max_steps: 100, extras: {eval_strategy: steps, eval_steps: 100}}",
    ),
    Rule(
        code="GR912",
        name="unread-settings",
        summary="Settings that matter and were not understood.",
        severity=Severity.INFO,
        action="review_settings",
        scope="config",
        rationale="What is not read is not judged.",
        source="inferred: the reader names what it left out",
        confidence=1.0,
        refuted_by="The settings have no effect on training.",
        judge=_unread,
        speaks="extras: {unread: [galore_rank]}",
        silent="extras: {unread: []}",
    ),
    Rule(
        code="GR914",
        name="adapter-unused",
        summary="LoRA settings in a configuration that trains no adapter.",
        severity=Severity.INFO,
        action="review_finetuning",
        scope="extras.finetuning",
        rationale="Either the kind of fine-tuning or the settings are left over.",
        source="inferred: two settings that exclude each other",
        confidence=0.9,
        refuted_by="The run saves an adapter.",
        judge=_adapter_unused,
        speaks="{lora: {r: 8}, extras: {finetuning: full}}",
        silent="{lora: {r: 8}, extras: {finetuning: lora}}",
    ),
)
"""The rules of this family, in the order in which they are reported."""
