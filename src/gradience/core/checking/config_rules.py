"""Rules on the configuration as a whole: the adapter's type, and values that cannot be."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gradience.core.checking.rule import CheckPolicy, Rule, Subject, Verdict
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.severity import Severity


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
        if value is not None and not possible.test(value)
    ]
    if not wrong:
        return None
    listed = "; ".join(f"{name} is {_written(value)}, not {words}" for name, value, words in wrong)
    evidence = {"values": {name: value for name, value, _ in wrong}}
    return Verdict(Severity.ERROR, f"values outside their range: {listed}", evidence)


def _written(value: float) -> str:
    """A number in full where it is whole: an int may lie beyond the floats."""
    return str(value) if isinstance(value, int) else f"{value:g}"


def _other_adapter(subject: Subject, _: CheckPolicy) -> Verdict | None:
    kind = subject.other_adapter
    if kind is None:
        return None
    return Verdict(
        Severity.INFO,
        f"the adapter is of type {kind}: LoRA rules were not applied",
        {"peft_type": kind},
    )


RULES = (
    Rule(
        code="GR900",
        action="review_adapter_type",
        scope="config",
        rationale="The evidence behind the rules on rates, targets, rank and scaling is from LoRA.",
        source="inferred: every study that those rules cite adapts by LoRA",
        confidence=1.0,
        refuted_by="The adapter's peft_type is LORA after all.",
        judge=_other_adapter,
    ),
    Rule(
        code="GR901",
        action="fix_value",
        scope="config",
        rationale="A value outside its range makes the run fail at once or train nothing.",
        source="inferred from what the values mean: counts, a probability, finite factors",
        confidence=1.0,
        refuted_by="A run that was made with just these values.",
        judge=_impossible,
    ),
)
"""The rules of this family, in the order in which they are reported."""
