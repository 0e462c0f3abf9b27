"""Turns what a trainer hands over into plain JSON values, under the privacy policy for text."""

import itertools
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

import attrs
import msgspec

from gradience.core.errors import TelemetryError, TextViolationError
from gradience.core.numbers import real_number
from gradience.core.telemetry.events import MAX_DEPTH

MAX_JSON_INT = 2**63 - 1
"""Integers beyond ±this are written as floats: many parsers read no others exactly."""

MAX_PAYLOAD_DEPTH = MAX_DEPTH - 2
"""Deepest nesting of a payload, so that the record around it can be read again."""

TOO_DEEP = "[nested too deeply]"
"""Stands for what lies deeper, and for a container within itself."""

VIOLATION_CHOICES = ("redact", "raise")
"""What a policy may do about a text that is too long."""

MAX_RATES = 64
"""Longest vector that is taken for the rates of parameter groups."""


@attrs.frozen(kw_only=True)
class TextPolicy:
    """How much free text may stand in telemetry.

    Telemetry is local and conservative: prompts, labels and documents are long strings, metric
    names and module names are short ones.
    """

    max_str_len: int = 256
    """Longest string kept as it is, in characters (source: the telemetry contract)."""
    on_violation: Literal["redact", "raise"] = attrs.field(default="redact")
    """Whether a longer string is replaced by ``[REDACTED len=N]`` or refused."""
    allow_text: bool = False
    """Keeps strings of any length: the explicit opt-in."""

    @on_violation.validator
    def _check_on_violation(self, _: object, value: object) -> None:
        if value not in VIOLATION_CHOICES:
            choices = " or ".join(map(repr, VIOLATION_CHOICES))
            raise TelemetryError(f"on_text_violation: expected {choices}, found {value!r}")


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


@runtime_checkable
class _Vector(_HasShape, Protocol):
    """An array or a tensor that can be written out."""

    def tolist(self) -> object:
        """The elements as plain Python values."""


def plain_value(value: object, policy: TextPolicy, path: str = "") -> object:
    """Makes a JSON value of ``value``: numbers stay numbers, long text is redacted.

    NumPy scalars and one-element arrays or tensors become Python numbers, enums their value,
    sets a sorted list, structs a dict. Larger arrays and tensors are named by type and shape,
    never written out (they may be weights or gradients); any other object is named by its type.
    What is nested deeper than :data:`MAX_PAYLOAD_DEPTH`, or within itself, is
    :data:`TOO_DEEP`.

    Args:
        value: Anything. Never mutated.
        policy: What text may pass.
        path: Dotted place of ``value`` in its record, for messages.

    Returns:
        Nested dicts and lists of ``None``, bool, int, float (NaN and infinities included), str.

    Raises:
        TextViolationError: A string is longer than the policy allows and the policy says raise.
    """
    return _Plain(policy).value(value, path)


def plain_mapping(
    values: Mapping[str, object], policy: TextPolicy, path: str = ""
) -> dict[str, object]:
    """:func:`plain_value` of every item; the keys are strings under the same policy.

    Keys that become equal (two long ones of the same length) are told apart by a number.
    """
    return _Plain(policy).inside(values).mapping(values, path)


def small_vector(value: object) -> object:
    """The elements of a one-dimensional array or tensor of at most 64; others as they are.

    Args:
        value: Anything. Never mutated.

    Returns:
        A list of Python's numbers, or ``value``.
    """
    try:
        if isinstance(value, _Vector) and len(value.shape) == 1 and 1 < value.shape[0] <= MAX_RATES:
            return value.tolist()
    except Exception:  # noqa: BLE001  a foreign object may raise anything
        return value
    return value


@attrs.frozen
class _Plain:
    """The recursion of :func:`plain_value`; ``outer`` are the ids of the containers around."""

    policy: TextPolicy
    outer: tuple[int, ...] = ()

    def value(self, value: object, path: str) -> object:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and not isinstance(value, Enum):
            return _plain_text(value, self.policy, path)
        if isinstance(value, int) and not isinstance(value, Enum):
            return int(value) if -MAX_JSON_INT <= value <= MAX_JSON_INT else real_number(value)
        if isinstance(value, float):
            return float(value)
        if isinstance(value, Enum):
            return self.value(value.value, path)
        if not _is_container(value):
            element = _element(value)
            return _name(value) if element is None else self.value(element, path)
        if len(self.outer) >= MAX_PAYLOAD_DEPTH or id(value) in self.outer:
            return TOO_DEEP
        return self.inside(value).items(value, path)

    def inside(self, container: object) -> "_Plain":
        return _Plain(self.policy, (*self.outer, id(container)))

    def items(self, container: object, path: str) -> object:
        if isinstance(container, msgspec.Struct):
            return self.mapping(msgspec.structs.asdict(container), path)
        if isinstance(container, Mapping):
            return self.mapping(container, path)
        if isinstance(container, AbstractSet):
            return sorted((self.value(item, path) for item in container), key=str)
        if isinstance(container, Sequence):
            return [self.value(item, f"{path}.{i}") for i, item in enumerate(container)]
        return None

    def mapping(self, values: Mapping[str, object], path: str) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key, item in values.items():
            place = f"{path}.{key}" if path else str(key)
            name = _free_key(_plain_text(str(key), self.policy, path), plain, self.policy)
            plain[name] = self.value(item, place)
        return plain


def _is_container(value: object) -> bool:
    if isinstance(value, bytes | bytearray | memoryview):
        return False
    return isinstance(value, Mapping | msgspec.Struct | AbstractSet | Sequence)


def _free_key(key: str, taken: Mapping[str, object], policy: TextPolicy) -> str:
    """``key``, or with the first number that tells it from the keys there are."""
    numbers = itertools.count(2)
    free = key
    while free in taken:
        free = _numbered(key, next(numbers), policy)
    return free


def _numbered(key: str, number: int, policy: TextPolicy) -> str:
    numbered = f"{key[:-1]} #{number}]" if key.endswith("]") else f"{key} #{number}"
    if policy.allow_text or len(numbered) <= policy.max_str_len:
        return numbered
    return f"[REDACTED len={len(key)} #{number}]"


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


def _element(value: object) -> bool | float | str | None:
    """The one element of an array, tensor or NumPy scalar; None for any other object."""
    try:
        if isinstance(value, _HasShape) and math.prod(value.shape) != 1:
            return None
        element = value.item() if isinstance(value, _HasItem) else None
    except Exception:  # noqa: BLE001  a foreign object may raise anything
        return None
    return element if isinstance(element, bool | int | float | str) else None


def _name(value: object) -> str:
    """An object by its type, and by its shape where it has more or fewer elements than one."""
    name = type(value).__name__
    try:
        if isinstance(value, _HasShape) and math.prod(value.shape) != 1:
            return f"[{name} shape={tuple(int(extent) for extent in value.shape)}]"
    except Exception:  # noqa: BLE001  a foreign object may raise anything
        return f"[{name}]"
    return f"[{name}]"
