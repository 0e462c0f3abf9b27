"""OmegaConf's ``${section.key}`` in configurations, as far as it only points within the file."""

import re
from collections.abc import Mapping

MAX_CHAIN = 64
"""Steps from one reference to the next; a longer chain is left unresolved."""

MAX_TEXT = 4096
"""Characters that a text may grow to by what is put into it."""

TOO_LARGE = 10**20
"""Integers from here on are not put into a text: Python writes none of thousands of digits."""

_REFERENCE = re.compile(r"\$\{\s*([A-Za-z_][\w.\-]*)\s*\}")


def interpolated(raw: Mapping[str, object]) -> dict[str, object]:
    """The top level and its sections with references replaced by what they point to.

    A value that is one reference takes the other's type; within a text the other is written out.
    A reference that points nowhere, in a circle, or to the environment stays as it is.

    Args:
        raw: The parsed file. Never mutated.

    Returns:
        The resolved copy, two levels deep: what stands deeper is left alone.
    """
    resolver = _Resolver(raw)
    resolved: dict[str, object] = {}
    for key, value in raw.items():
        whole = resolver.value(value)
        if isinstance(whole, Mapping):
            whole = {str(name): resolver.value(item) for name, item in whole.items()}
        resolved[key] = whole
    return resolved


class _Resolver:
    """Follows references, each once: a circle meets the reference that it began with."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        self._raw = raw
        self._known: dict[str, object] = {}
        self._chain = 0

    def value(self, value: object) -> object:
        if isinstance(value, list):
            return [self._text(item) if isinstance(item, str) else item for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> object:
        whole = _REFERENCE.fullmatch(text.strip())
        if whole is not None:
            return self._target(whole[1], text)
        parts = {match[0]: self._target(match[1], match[0]) for match in _REFERENCE.finditer(text)}
        if not all(map(_is_writable, parts.values())):
            return text
        longest = max((len(str(part)) for part in parts.values()), default=0)
        if parts and len(text) * (longest + 1) > MAX_TEXT:
            return text
        return _REFERENCE.sub(lambda match: str(parts[match[0]]), text)

    def _target(self, path: str, reference: str) -> object:
        """What a path points to, itself resolved; the reference where that is nothing."""
        if path not in self._known and self._chain < MAX_CHAIN:
            self._known[path] = reference
            self._chain += 1
            found = _look_up(self._raw, path)
            self._known[path] = reference if found is None else self.value(found)
            self._chain -= 1
        return self._known.get(path, reference)


def _is_writable(value: object) -> bool:
    """Whether a value can stand within a text."""
    if isinstance(value, int):
        return abs(value) < TOO_LARGE
    return isinstance(value, str | float)


def _look_up(raw: Mapping[str, object], path: str) -> object:
    found: object = raw
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found
