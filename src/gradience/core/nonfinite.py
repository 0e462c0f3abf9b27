"""Strict JSON for numbers that JSON does not have: NaN and the infinities.

A non-finite number is written as ``null`` and named in a ``nonfinite`` table beside it, so that
any parser accepts the record and nothing is lost. Keys of the table are dotted paths from the
root (list items by index); a dot or a backslash inside a key is preceded by a backslash.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeGuard

NONFINITE_KEY = "nonfinite"
"""Name of the table in a record."""

_TOKENS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def split_nonfinite(value: object) -> tuple[object, dict[str, str]]:
    """Separates the non-finite numbers of a JSON-like value from the rest.

    Args:
        value: Nested mappings, sequences and scalars. Never mutated.

    Returns:
        The value with ``None`` for each non-finite float, and the table dotted path → ``"nan"``,
        ``"inf"`` or ``"-inf"`` (empty where all numbers are finite).
    """
    table: dict[str, str] = {}
    return _split(value, None, table), table


def restore_nonfinite(value: object, table: Mapping[str, object]) -> object:
    """Puts the numbers of a ``nonfinite`` table back: the inverse of :func:`split_nonfinite`.

    Entries whose path does not lead to a ``null``, or whose token is unknown, are left alone.

    Args:
        value: What was read from strict JSON. Never mutated.
        table: Dotted path → token.

    Returns:
        The value with the non-finite floats in place.
    """
    known = {path: _TOKENS[t] for path, t in table.items() if isinstance(t, str) and t in _TOKENS}
    return _restore(value, None, known)


def is_nonfinite_table(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether ``value`` is a table of :func:`split_nonfinite`, and no data of that name."""
    return isinstance(value, Mapping) and all(
        isinstance(token, str) and token in _TOKENS for token in value.values()
    )


def _child(path: str | None, key: object) -> str:
    text = str(key).replace("\\", "\\\\").replace(".", "\\.")
    return text if path is None else f"{path}.{text}"


def _split(value: object, path: str | None, table: dict[str, str]) -> object:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        table[path or ""] = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        return None
    if isinstance(value, Mapping):
        return {key: _split(item, _child(path, key), table) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_split(item, _child(path, i), table) for i, item in enumerate(value)]
    return value


def _restore(value: object, path: str | None, known: Mapping[str, float]) -> object:
    if value is None:
        return known.get(path or "")
    if isinstance(value, Mapping):
        return {key: _restore(item, _child(path, key), known) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_restore(item, _child(path, i), known) for i, item in enumerate(value)]
    return value
