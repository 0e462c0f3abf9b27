"""Finds a module's base weight among the names of a checkpoint."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class WeightNames(NamedTuple):
    """An index of the weights of a checkpoint by every ending of their names."""

    exact: frozenset[str]
    by_ending: Mapping[str, tuple[str, ...]]


WEIGHT_SUFFIX = ".weight"


def index_names(names: Iterable[str]) -> WeightNames:
    """Indexes the tensor names of a checkpoint.

    Args:
        names: The names; those that do not end in ``.weight`` are left out.

    Returns:
        The index for :func:`find_base_weight`.
    """
    weights = [name for name in names if name.endswith(WEIGHT_SUFFIX)]
    endings: dict[str, list[str]] = {}
    for name in weights:
        parts = name.split(".")
        for start in range(len(parts) - 1):
            endings.setdefault(".".join(parts[start:]), []).append(name)
    return WeightNames(
        frozenset(weights), {ending: tuple(found) for ending, found in endings.items()}
    )


def find_base_weight(module: str, names: WeightNames) -> str | None:
    """The weight that a module's update is added to.

    The same name is looked for first; then the checkpoint of a bare model, whose names lack the
    module's leading components (``model.``, ``transformer.``, ``bert.`` …); then one of a
    head-bearing model, whose names have some more.

    Args:
        module: The module's name in the model that was adapted.
        names: The checkpoint's weights.

    Returns:
        The tensor's name, or None where there is no match or more than one.
    """
    target = module + WEIGHT_SUFFIX
    if target in names.exact:
        return target
    parts = target.split(".")
    for start in range(1, len(parts) - 1):
        if any(part.isdigit() for part in parts[:start]):
            break
        ending = ".".join(parts[start:])
        if ending in names.exact:
            return ending
    longer = names.by_ending.get(target, ())
    return longer[0] if len(longer) == 1 else None
