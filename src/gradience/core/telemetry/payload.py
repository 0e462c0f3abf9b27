"""Turns what a trainer hands over into plain JSON values, under the privacy policy for text."""

import itertools
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Protocol, runtime_checkable

import attrs
import msgspec

from gradience.core.numbers import real_number
from gradience.core.telemetry.events import MAX_DEPTH
from gradience.core.telemetry.secret_names import kind_by_context
from gradience.core.telemetry.secrets import placeholder
from gradience.core.telemetry.text_policy import (
    MAX_PLAIN_LEN,
    TextPolicy,
    is_plain_text,
    kind_by_name,
    plain_text,
)

MAX_JSON_INT = 2**63 - 1
"""Integers beyond ±this are written as floats: many parsers read no others exactly."""

MAX_PAYLOAD_DEPTH = MAX_DEPTH - 2
"""Deepest nesting of a payload, so that the record around it can be read again."""

TOO_DEEP = "[nested too deeply]"
"""Stands for what lies deeper, and for a container within itself."""

MAX_RATES = 64
"""Longest vector that is taken for the rates of parameter groups."""


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
    """Makes a JSON value of ``value``: numbers stay numbers, long and secret text is redacted.

    NumPy scalars and one-element arrays or tensors become Python numbers, enums their value,
    sets a sorted list, structs a dict. Larger arrays and tensors are named by type and shape,
    never written out (they may be weights or gradients); any other object is named by its type.
    What is nested deeper than :data:`MAX_PAYLOAD_DEPTH`, or within itself, is
    :data:`TOO_DEEP`. Text under a name that announces a credential, at any depth below it, is
    redacted whatever it is; numbers there stay.

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
    if _is_plain_already(values, policy):
        return dict(values)
    return _Plain(policy, (id(values),)).mapping(values, path)


def _is_plain_already(values: Mapping[str, object], policy: TextPolicy) -> bool:
    """Whether all is plain numbers and short words by short names: what most steps log."""
    longest = min(MAX_PLAIN_LEN, policy.max_str_len)
    for name, item in values.items():
        if type(name) is not str or len(name) > longest or not is_plain_text(name):
            return False
        if type(item) is float:
            continue
        if type(item) is int:
            if not -MAX_JSON_INT <= item <= MAX_JSON_INT:
                return False
        elif type(item) is not str or len(item) > longest or not is_plain_text(item):
            return False
    return True


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
    """The recursion of :func:`plain_value`."""

    policy: TextPolicy
    outer: tuple[int, ...] = ()
    """The ids of the containers around."""
    kind: str | None = None
    """What the names around say that all text here is."""

    def value(self, value: object, path: str) -> object:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and not isinstance(value, Enum):
            return self.text(value, path)
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

    def text(self, text: str, path: str) -> str:
        kind = self.kind or kind_by_context(text, path)
        return placeholder(kind) if kind and text else plain_text(text, self.policy, path)

    def inside(self, container: object) -> "_Plain":
        return _Plain(self.policy, (*self.outer, id(container)), self.kind)

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
        longest_plain = min(MAX_PLAIN_LEN, self.policy.max_str_len)
        for key, item in values.items():
            if type(key) is str and len(key) <= longest_plain and is_plain_text(key):
                name, inner = key, self
            else:
                name, inner = plain_text(str(key), self.policy, path), self.under(str(key))
            if name in plain:
                name = _free_key(name, plain, self.policy)
            if type(item) is not float:
                item = inner.value(item, f"{path}.{name}" if path else name)  # noqa: PLW2901
            plain[name] = item
        return plain

    def under(self, name: str) -> "_Plain":
        kind = self.kind or kind_by_name(name, self.policy)
        return self if kind == self.kind else attrs.evolve(self, kind=kind)


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
