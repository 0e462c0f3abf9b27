"""Typed readings of settings that may hold any JSON value: what does not fit is not there."""

import math
import re
from collections.abc import Mapping

from gradience.core.numbers import real_number

_PLAIN = re.compile(r"[A-Za-z0-9_]+(?:[.\-][A-Za-z0-9_]+)*")
"""A module's name or its ending; anything else is an expression."""


def number(extras: Mapping[str, object], name: str) -> float | None:
    """A number, also where it is written as a string (YAML reads ``1e-1`` as one).

    Args:
        extras: The settings.
        name: The setting.

    Returns:
        The number, infinite and NaN included; None where there is none.
    """
    value = extras.get(name)
    if not isinstance(value, str):
        return real_number(value)
    try:
        return float(value)
    except ValueError:
        return None


def finite(extras: Mapping[str, object], name: str) -> float | None:
    """A finite number; None for anything else."""
    value = number(extras, name)
    return value if value is not None and math.isfinite(value) else None


def text(extras: Mapping[str, object], name: str) -> str | None:
    """A string in lower case; None for anything else."""
    value = extras.get(name)
    return value.strip().lower() if isinstance(value, str) else None


def flag(extras: Mapping[str, object], name: str) -> bool:
    """Whether a setting is true; a string or a number is not."""
    return extras.get(name) is True


def names(extras: Mapping[str, object], name: str) -> tuple[str, ...]:
    """A list of strings, or one string; what is no string in it is left out."""
    value = extras.get(name)
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def table(extras: Mapping[str, object], name: str) -> Mapping[str, object]:
    """A mapping by its string keys; empty for anything else."""
    value = extras.get(name)
    if not isinstance(value, Mapping):
        return {}
    return {key: item for key, item in value.items() if isinstance(key, str)}


def numbers(extras: Mapping[str, object], name: str) -> dict[str, float]:
    """The finite, positive numbers of a mapping by key, in its order."""
    found = table(extras, name)
    given = {key: number(found, key) for key in found}
    return {
        key: value
        for key, value in given.items()
        if value is not None and math.isfinite(value) and value > 0
    }


def is_plain(name: str) -> bool:
    """Whether a target or a pattern key is a name or its ending, not an expression."""
    return _PLAIN.fullmatch(name) is not None


def ends_with(name: str, ending: str) -> bool:
    """Whether a plain name is an ending's own or ends with it behind a dot."""
    return name == ending or name.endswith(f".{ending}")


def written(value: float | None) -> str:
    """A number for a message; an integer beyond the floats is infinite."""
    real = real_number(value)
    return "none" if real is None else f"{real:g}"
