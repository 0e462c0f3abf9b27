"""Values of a row as tools write them: numbers as text, steps as fractions of a whole."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from gradience.core.numbers import nesting_depth
from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import MAX_DEPTH

MAX_ROW_DEPTH = MAX_DEPTH - 2
"""Deepest nesting of a row, so that the event made of it can be written and read."""

NUMBER_KEYS = frozenset({"loss", "learning_rate", "lr", "grad_norm", "epoch", "step"})

NUMBER_STARTS = ("eval_", "eval/", "train_", "train/")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
"""At most 18 digits, which fit 64 bits; a longer number is read as a float."""

_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]+)?"
)
_NONFINITE = {
    "nan": math.nan,
    "inf": math.inf,
    "+inf": math.inf,
    "-inf": -math.inf,
    "infinity": math.inf,
    "-infinity": -math.inf,
}


MAX_WHOLE = 2**63 - 1
"""Largest step or count; a larger one fits no integer column."""


class Numbers(NamedTuple):
    """A row whose numbers are numbers, and which of them were text."""

    row: Mapping[str, object]
    were_text: tuple[str, ...]

    def issues(self) -> tuple[LineIssue, ...]:
        """One issue for the values that were text, none where there were none."""
        if not self.were_text:
            return ()
        listed = ", ".join(sorted(self.were_text))
        message = f"expected numbers, found text under {listed}; read as numbers"
        return (LineIssue(Severity.INFO, "coerced_value", message),)


class Progress(NamedTuple):
    """A step out of the planned ones, as in ``"5/100"``."""

    step: int
    planned: int


def number_of(text: str) -> float | None:
    """The number that a text is (``"0.5"``, ``"1e-4"``, ``"nan"``); None where it is none."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    return _NONFINITE.get(text.lower())


def with_numbers(row: Mapping[str, object], *, all_keys: bool = True) -> Numbers:
    """The row with its texts that are numbers read as such; the row itself where none is.

    Args:
        row: A row. Never mutated.
        all_keys: Reads them under every key, not only under those that hold numbers in any log:
            elsewhere a text may be a name that looks like a number.
    """
    found = {
        key: number
        for key, value in row.items()
        if type(value) is str
        and (all_keys or key in NUMBER_KEYS or key.startswith(NUMBER_STARTS))
        and (number := number_of(value)) is not None
    }
    return Numbers({**row, **found}, tuple(found)) if found else Numbers(row, ())


def progress(text: object) -> Progress | None:
    """The step and the planned steps of ``"5/100"``; None where ``text`` is no such fraction."""
    if not isinstance(text, str):
        return None
    step, slash, planned = text.partition("/")
    if not slash or not _INTEGER.fullmatch(step) or not _INTEGER.fullmatch(planned):
        return None
    return Progress(int(step), int(planned))


def is_too_deep(row: Mapping[str, object]) -> bool:
    """Whether a row is nested deeper than an event may be."""
    nested = any(isinstance(value, dict | list) for value in row.values())
    return nested and nesting_depth(row, MAX_ROW_DEPTH) > MAX_ROW_DEPTH


def positive(value: object) -> int | None:
    """A positive whole number (of steps, of examples), also as a float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 < value <= MAX_WHOLE or value != int(value):
        return None
    return int(value)
