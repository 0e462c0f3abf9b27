"""Takes the keys that are known out of a foreign configuration, each as its type."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

import msgspec

from gradience.core.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)

MAX_SHOWN = 40
"""Characters of a value that a message repeats."""

TOO_LARGE = 2**63
"""The first integer that a report in JSON cannot hold."""

UNDECIDED_WORDS = frozenset({"auto", "default"})
"""Words that stand where a number is expected and leave the choice to the tool."""

UNSAID_WORDS = frozenset({"none", "null"})
"""Words of other languages for nothing, where a number is expected."""

_TRUTH: Mapping[str, bool] = {"yes": True, "on": True, "no": False, "off": False}
"""YAML's words for a boolean, for where they come as strings."""


class Taken(NamedTuple, Generic[T]):
    """The settings of a file, and the names of known keys whose value could not be understood."""

    settings: T
    unread: tuple[str, ...]


class _Findings(NamedTuple):
    """What does not fit, and what cannot be understood here."""

    problems: list[str]
    unread: list[str]


def take(raw: Mapping[str, object], shape: type[T], place: str, tool: str) -> Taken[T]:
    """Reads the keys that ``shape`` names; every other key is ignored.

    Empty values (``null``, blank text, empty lists and mappings, ``None`` for a number) mean "not
    given". Numbers may be written as strings. A value that only the tool can work out (``${…}``,
    ``$VARIABLE``, ``{{ … }}``, ``auto`` for a number) is left out and named in ``unread``.

    Args:
        raw: The parsed file. Never mutated.
        shape: A struct whose fields are keys of the file, all with defaults; a field whose type
            is a struct itself is a section.
        place: The file, for messages.
        tool: The first word of the paths in messages.

    Returns:
        The settings, and what was not understood.

    Raises:
        ConfigError: Values do not fit; every one is named with its path.
    """
    findings = _Findings([], [])
    settings = _section(raw, shape, "", findings)
    if findings.problems:
        problems = "; ".join(f"{tool}.{problem}" for problem in findings.problems)
        raise ConfigError(f"{place}: {problems}. Correct the value.")
    return Taken(settings, tuple(findings.unread))


def given(values: Mapping[str, object]) -> dict[str, object]:
    """The entries that are not None."""
    return {key: value for key, value in values.items() if value is not None}


def _section(raw: Mapping[str, object], shape: type[T], path: str, findings: _Findings) -> T:
    known: dict[str, object] = {}
    for field in msgspec.structs.fields(shape):
        name, value = field.name, raw.get(field.encode_name)
        where = f"{path}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            if isinstance(value, Mapping):
                known[name] = _section(value, field.type, f"{where}.", findings)
            elif not _is_empty(value):
                findings.unread.append(where)
        elif _is_unresolved(value):
            findings.unread.append(where)
        elif not _is_empty(value) and (found := _converted(value, field.type, where, findings)):
            known[name] = found[0]
    return shape(**known)


def _converted(
    value: object, kind: object, where: str, findings: _Findings
) -> tuple[object] | None:
    """The value as its kind, boxed; None where it does not fit."""
    word = value.strip() if isinstance(value, str) else value
    if isinstance(value, int) and abs(value) >= TOO_LARGE:
        findings.problems.append(f"{where}: expected at most 64 bits, found {_shown(value)}")
        return None
    try:
        return (_as_kind(word, kind),)
    except (msgspec.ValidationError, OverflowError) as error:
        said = word.lower() if isinstance(word, str) else ""
        if said in UNDECIDED_WORDS:
            findings.unread.append(where)
        if said in UNDECIDED_WORDS | UNSAID_WORDS:
            return None
        expected = str(error).partition(", got ")[0]
        findings.problems.append(f"{where}: {expected.lower()}, found {_shown(value)}")
        return None


def _as_kind(value: object, kind: object) -> object:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        truth = _TRUTH.get(value.lower()) if isinstance(value, str) else None
        if truth is None:
            raise
        return msgspec.convert(truth, kind)


def _is_empty(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | tuple | Mapping) and not value)


def _is_unresolved(value: object) -> bool:
    return isinstance(value, str) and ("{{" in value or value.lstrip().startswith("$"))


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, int | float | str) or value is None:
        text = repr(value) if not isinstance(value, int) or abs(value) < 10**MAX_SHOWN else "…"
        return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return f"a value of type {type(value).__name__}"
