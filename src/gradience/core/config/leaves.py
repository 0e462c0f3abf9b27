"""A configuration as a flat table of what it says, and back."""

from collections.abc import Mapping

import msgspec

from gradience.core.config.snapshot import PARTS, ConfigSnapshot

Leaf = tuple[str, ...]
"""Where a value stands: ``("optimizer", "lr")``, ``("training", "extras", "max_grad_norm")``."""

DEFAULTS = "defaults"
"""Key of the top-level extras: dotted names of filled-in values, with whose defaults they are."""

EXTRAS = "extras"


def leaves(config: ConfigSnapshot) -> dict[Leaf, object]:
    """What a configuration says, value by value, in its own order.

    A field that holds its default (None, the unknown task profile) says nothing; a key of the
    extras does, also with None. The table of defaults is left out: see :func:`marks`.
    """
    found: dict[Leaf, object] = {}
    for name in ConfigSnapshot.__struct_fields__:
        value: object = getattr(config, name)
        if isinstance(value, msgspec.Struct):
            found |= {(name, *leaf): item for leaf, item in _struct_leaves(value).items()}
    found |= _struct_leaves(config)
    if isinstance(config.extras.get(DEFAULTS), Mapping):
        del found[EXTRAS, DEFAULTS]
    return found


def marks(config: ConfigSnapshot) -> dict[str, str]:
    """The filled-in values of a configuration: dotted name → whose default it is."""
    found = config.extras.get(DEFAULTS)
    if not isinstance(found, Mapping):
        return {}
    return {name: tool for name, tool in found.items() if isinstance(tool, str)}


def from_leaves(said: Mapping[Leaf, object], marked: Mapping[str, str]) -> ConfigSnapshot:
    """The configuration that says just this; the inverse of :func:`leaves` and :func:`marks`.

    Marks stand in the order of their names; one of a value that is not said is dropped.
    """
    whole: dict[str, object] = {}
    for leaf, value in said.items():
        target = whole
        for step in leaf[:-1]:
            target = _below(target, step)
        target[leaf[-1]] = value
    names = {leaf_name(leaf) for leaf in said}
    kept = {name: marked[name] for name in sorted(names & marked.keys())}
    if kept:
        _below(whole, EXTRAS)[DEFAULTS] = kept
    for part, struct in PARTS.items():
        fields = whole.get(part)
        if isinstance(fields, dict):
            whole[part] = msgspec.structs.replace(struct(), **fields)
    return msgspec.structs.replace(ConfigSnapshot(), **whole)


def leaf_name(leaf: Leaf) -> str:
    """The dotted name: ``training.extras.max_grad_norm``."""
    return ".".join(leaf)


def _struct_leaves(struct: msgspec.Struct) -> dict[Leaf, object]:
    default = type(struct)()
    found: dict[Leaf, object] = {}
    for field in struct.__struct_fields__:
        value: object = getattr(struct, field)
        if field == EXTRAS and isinstance(value, Mapping):
            found |= {(EXTRAS, key): item for key, item in value.items()}
        elif not isinstance(value, msgspec.Struct) and value != getattr(default, field):
            found[(field,)] = value
    return found


def _below(tree: dict[str, object], key: str) -> dict[str, object]:
    below = tree.setdefault(key, {})
    if not isinstance(below, dict):
        raise TypeError(f"{key} is a value and has nothing below it")
    return below
