"""Turns what a trainer hands over into plain JSON values, under the privacy policy for text."""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

import attrs
import msgspec

from gradience.core.errors import TextViolationError

MAX_JSON_INT = 2**63 - 1
"""Integers beyond ±this are written as floats: many parsers read no others exactly."""


@attrs.frozen(kw_only=True)
class TextPolicy:
    """How much free text may stand in telemetry.

    Telemetry is local and conservative: prompts, labels and documents are long strings, metric
    names and module names are short ones.
    """

    max_str_len: int = 256
    """Longest string kept as it is, in characters (source: the telemetry contract)."""
    on_violation: Literal["redact", "raise"] = "redact"
    """Whether a longer string is replaced by ``[REDACTED len=N]`` or refused."""
    allow_text: bool = False
    """Keeps strings of any length: the explicit opt-in."""


@runtime_checkable
class _HasItem(Protocol):
    """A NumPy scalar, or an array or tensor of one element."""

    def item(self) -> object:
        """The element as a plain Python value."""


@runtime_checkable
class _HasShape(Protocol):
    """An array or a tensor."""

    @property
    def shape(self) -> Sequence[int]:
        """Extent per dimension."""


def plain_value(value: object, policy: TextPolicy, path: str = "") -> object:
    """Makes a JSON value of ``value``: numbers stay numbers, long text is redacted.

    NumPy scalars and one-element arrays or tensors become Python numbers, enums their value,
    sets a sorted list, structs a dict. Larger arrays and tensors are named by type and shape,
    never written out (they may be weights or gradients); any other object is named by its type.

    Args:
        value: Anything. Never mutated.
        policy: What text may pass.
        path: Dotted place of ``value`` in its record, for messages.

    Returns:
        Nested dicts and lists of ``None``, bool, int, float (NaN and infinities included), str.

    Raises:
        TextViolationError: A string is longer than the policy allows and the policy says raise.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and not isinstance(value, Enum):
        return _plain_text(value, policy, path)
    if isinstance(value, int) and not isinstance(value, Enum):
        return _plain_int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Enum):
        return plain_value(value.value, policy, path)
    if isinstance(value, Mapping):
        return {
            _plain_key(key, policy, path): plain_value(item, policy, f"{path}.{key}")
            for key, item in value.items()
        }
    if isinstance(value, msgspec.Struct):
        return plain_mapping(msgspec.structs.asdict(value), policy, path)
    if isinstance(value, AbstractSet):
        return sorted((plain_value(item, policy, path) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain_value(item, policy, f"{path}.{i}") for i, item in enumerate(value)]
    return _plain_object(value, policy, path)


def plain_mapping(
    values: Mapping[str, object], policy: TextPolicy, path: str = ""
) -> dict[str, object]:
    """:func:`plain_value` of every item; the keys are strings under the same policy."""
    return {
        _plain_key(key, policy, path): plain_value(item, policy, f"{path}.{key}" if path else key)
        for key, item in values.items()
    }


def _plain_key(key: object, policy: TextPolicy, path: str) -> str:
    return _plain_text(str(key), policy, path)


def _plain_text(text: str, policy: TextPolicy, path: str) -> str:
    if len(text) > policy.max_str_len and not policy.allow_text:
        if policy.on_violation == "raise":
            raise TextViolationError(
                f"{path or 'value'}: expected a string of at most {policy.max_str_len} "
                f"characters, found {len(text)}. Shorten it, or allow text explicitly with "
                "allow_text=True."
            )
        return f"[REDACTED len={len(text)}]"
    return str(text) if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain_int(value: int) -> int | float:
    if -MAX_JSON_INT <= value <= MAX_JSON_INT:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _plain_object(value: object, policy: TextPolicy, path: str) -> object:
    name = type(value).__name__
    if isinstance(value, _HasShape) and math.prod(value.shape) != 1:
        return f"[{name} shape={tuple(int(extent) for extent in value.shape)}]"
    if isinstance(value, _HasItem):
        try:
            element = value.item()
        except (TypeError, ValueError, RuntimeError):
            return f"[{name}]"
        if not isinstance(element, _HasItem):
            return plain_value(element, policy, path)
    return f"[{name}]"
