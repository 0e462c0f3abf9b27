"""Finds a module's weight among the names of a checkpoint."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

import attrs

from gradience.core.checkpoint.renames import Family, canonical_name, families_of
from gradience.core.checkpoint.tied_embeddings import is_embedding

Head = tuple[str, ...]

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")

# fmt: off
WRAPPERS = frozenset({
    "model", "transformer", "base_model", "language_model", "llm", "backbone", "bert", "roberta",
    "distilbert", "albert", "deberta", "electra", "esm", "vit", "unet", "diffusion_model", "module",
    "_orig_mod",
})
"""Leading components that a head adds around one and the same network."""

TOWERS = frozenset({
    "encoder", "decoder", "vision_model", "vision_tower", "vision_encoder", "image_tower",
    "video_tower", "audio_tower", "audio_model", "visual", "text_model", "speech_encoder",
    "qformer", "talker", "thinker",
})
"""Leading components that tell one network of a model from another: never left out."""
# fmt: on


class AmbiguousName(NamedTuple):
    """Several weights that a module could mean."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        """The reason that the audit shows."""
        return f"several weights could be meant: {', '.join(self.paths)}"


@attrs.frozen
class NameIndex:
    """Paths of a checkpoint by name, and by the part of the name from its first number on."""

    paths: Mapping[str, tuple[str, ...]]
    """Name → the paths that bear it; two after a rename that lost a difference."""
    by_tail: Mapping[str, tuple[Head, ...]]


@attrs.frozen
class CheckpointNames:
    """The weights of a checkpoint by their names now and before transformers' renames."""

    stored: NameIndex
    families: tuple[Family, ...]
    """Those that ``model_type`` leaves possible."""

    @cached_property
    def renamed(self) -> tuple[NameIndex, ...]:
        """Per family, the index of the canonical names.

        No rename depends on which number a layer has, so one name of each form tells whether a
        family touches the form; a family that touches none shares the index as stored.
        """
        forms = {path: _NUMBER.sub("0", path) for path in self.stored.paths}
        return tuple(_renamed_index(self.stored, forms, family) for family in self.families)


def index_names(paths: Iterable[str], model_type: str | None = None) -> CheckpointNames:
    """Indexes the weights of a checkpoint.

    Args:
        paths: Their names, without ``.weight`` or what else says that a tensor is a weight.
        model_type: ``model_type`` of the checkpoint's config.json, None where it has none.

    Returns:
        The index for :func:`find_path`.
    """
    return CheckpointNames(_index((path, path) for path in paths), families_of(model_type))


def find_path(
    module: str, names: CheckpointNames, fits: Callable[[str], bool]
) -> str | AmbiguousName | None:
    """The weight that a module's update is added to.

    The same name is looked for first, then the same under the renames of the checkpoint's family
    (in either direction: both names are made canonical); then, in both forms, a name that lacks
    some of the module's leading components (a bare model's checkpoint), differs in wrappers alone,
    or has some leading components more (a head-bearing model's).

    Args:
        module: The module's name in the model that was adapted.
        names: The checkpoint's weights.
        fits: Whether a path's weight could be the module's by its shape; asked only to choose.

    Returns:
        The path, the paths between which nothing decides, or None.
    """
    if module in names.stored.paths:
        return module
    known = len(names.families) == 1
    found = _renamed(module, names, _same) if known else ()
    found = found or _match(module, names.stored) or _renamed(module, names, _match)
    if len(found) > 1:
        found = tuple(path for path in found if fits(path)) or found
    if len(found) > 1:
        return AmbiguousName(found)
    return found[0] if found else None


def _renamed(
    module: str, names: CheckpointNames, match: Callable[[str, NameIndex], tuple[str, ...]]
) -> tuple[str, ...]:
    found = (
        path
        for family, index in zip(names.families, names.renamed, strict=True)
        for path in match(canonical_name(module, family), index)
    )
    return tuple(dict.fromkeys(found))


def _renamed_index(stored: NameIndex, forms: Mapping[str, str], family: Family) -> NameIndex:
    touched = {form for form in set(forms.values()) if canonical_name(form, family) != form}
    if not touched:
        return stored
    return _index(
        (canonical_name(path, family) if form in touched else path, path)
        for path, form in forms.items()
    )


def _index(named: Iterable[tuple[str, str]]) -> NameIndex:
    paths: dict[str, tuple[str, ...]] = {}
    for name, path in named:
        paths[name] = (*paths.get(name, ()), path)
    tails: dict[str, list[Head]] = {}
    for name in paths:
        head, tail = _split(name)
        tails.setdefault(tail, []).append(head)
    return NameIndex(paths, {tail: tuple(heads) for tail, heads in tails.items()})


def _split(name: str) -> tuple[Head, str]:
    """The components before the first number, and the rest; without a number, before the last."""
    parts = name.split(".")
    numbers = (place for place, part in enumerate(parts) if part.isdigit())
    place = next(numbers, len(parts) - 1)
    return tuple(parts[:place]), ".".join(parts[place:])


def _same(name: str, index: NameIndex) -> tuple[str, ...]:
    return index.paths.get(name, ())


def _match(name: str, index: NameIndex) -> tuple[str, ...]:
    """The paths of the closest kind of name that there is."""
    head, tail = _split(name)
    heads = index.by_tail.get(tail, ())
    for chosen in (
        [other for other in heads if other == head],
        _shorter(head, heads, tail),
        [other for other in heads if _unwrapped(other) == _unwrapped(head)],
        [other for other in heads if _adds(other, head, tail)],
    ):
        if chosen:
            return tuple(path for other in chosen for path in index.paths[".".join((*other, tail))])
    return ()


def _shorter(head: Head, heads: Iterable[Head], tail: str) -> list[Head]:
    """The longest of the heads that lack some of a head's first components."""
    fitting = [
        other
        for other in heads
        if len(other) < len(head)
        and head[len(head) - len(other) :] == other
        and TOWERS.isdisjoint(head[: len(head) - len(other)])
        and (other or _stands_alone(tail, head))
    ]
    return [max(fitting, key=len)] if fitting else []


def _adds(other: Head, head: Head, tail: str) -> bool:
    """Whether a head has some first components more than another."""
    more = len(other) - len(head)
    if more <= 0 or other[more:] != head:
        return False
    if not head:
        return TOWERS.isdisjoint(other) and _stands_alone(tail, other)
    return _numbered(tail) or TOWERS.isdisjoint(other[:more])


def _stands_alone(tail: str, left_out: Head) -> bool:
    """Whether a name without any head is the one with these components before it.

    A ``classifier`` is not ``decode_head.classifier``, and layer 0 is one of several stacks'.
    """
    return not _numbered(tail) and (WRAPPERS.issuperset(left_out) or is_embedding(tail))


def _numbered(tail: str) -> bool:
    return tail.split(".", maxsplit=1)[0].isdigit()


def _unwrapped(head: Head) -> Head:
    """A head without its leading wrappers."""
    return tuple(part for part in head if part not in WRAPPERS)
