"""One configuration laid over another: given beats default, upper beats lower."""

from collections.abc import Iterable

import msgspec

from gradience.core.config.leaves import Leaf, from_leaves, leaf_name, leaves, marks
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.vocabulary import FULL_TYPE

_ALPHA: Leaf = ("lora", "alpha")
_RATIO: Leaf = ("lora", "alpha_over_r")
_ADAPTER: tuple[Leaf, ...] = (("lora", "r"), ("lora", "target_modules"))
_FINETUNING: Leaf = ("extras", "finetuning")

_GIVEN, _DEFAULT, _UNSAID = 2, 1, 0


def overlay(base: ConfigSnapshot, over: ConfigSnapshot) -> ConfigSnapshot:
    """``base`` with everything that ``over`` says put on top; extras are merged key by key.

    A value that a reader filled in from a tool's defaults (``extras["defaults"]``) loses to a
    given one on either side. ``alpha`` and ``alpha_over_r`` are two ways to say one thing: the
    side that decides decides both, and :func:`with_ratio` works out the other. A tool that
    adapts nothing by default is not taken at its word where the other side brings an adapter.

    Args:
        base: The lower configuration.
        over: The upper configuration.

    Returns:
        The merged configuration. Neither argument is changed.
    """
    low, high = _Side(base), _Side(over)
    chosen = {leaf: _upper(low, high, (leaf,)) for leaf in {**low.said, **high.said}}
    decides = _upper(low, high, (_ALPHA, _RATIO))
    chosen |= {leaf: decides for leaf in (_ALPHA, _RATIO) if leaf in chosen}
    said = {leaf: side.said[leaf] for leaf, side in chosen.items() if leaf in side.said}
    marked = {
        name: side.marked[name]
        for leaf, side in chosen.items()
        if (name := leaf_name(leaf)) in side.marked
    }
    if _contradicted(chosen, said):
        del said[_FINETUNING]
    return from_leaves(said, marked)


def with_ratio(config: ConfigSnapshot) -> ConfigSnapshot:
    """The snapshot with ``alpha_over_r`` worked out from alpha and r, or alpha from the ratio.

    What follows from a default is marked as one. A rank below 1 is none, and nothing is worked
    out from it.
    """
    lora = config.lora
    if lora.r is None or lora.r < 1:
        return config
    alpha = lora.alpha
    if alpha is None and lora.alpha_over_r is not None:
        alpha = lora.alpha_over_r * lora.r
    if alpha is None:
        return config
    found = msgspec.structs.replace(
        config, lora=msgspec.structs.replace(lora, alpha=alpha, alpha_over_r=alpha / lora.r)
    )
    marked = marks(config)
    if not marked:
        return found
    tool = marked.get(leaf_name(_ALPHA if lora.alpha is not None else _RATIO))
    for leaf in (_ALPHA, _RATIO):
        marked.pop(leaf_name(leaf), None)
        if tool is not None:
            marked[leaf_name(leaf)] = tool
    return from_leaves(leaves(found), marked)


class _Side:
    """One of the two configurations, value by value."""

    def __init__(self, config: ConfigSnapshot) -> None:
        self.said = leaves(config)
        self.marked = marks(config)

    def weight(self, names: Iterable[Leaf]) -> int:
        """How much it says of any of the values: given, by default, or nothing."""
        weights = [
            _DEFAULT if leaf_name(leaf) in self.marked else _GIVEN
            for leaf in names
            if leaf in self.said
        ]
        return max(weights, default=_UNSAID)


def _upper(low: _Side, high: _Side, names: tuple[Leaf, ...]) -> _Side:
    return high if high.weight(names) >= low.weight(names) else low


def _contradicted(chosen: dict[Leaf, _Side], said: dict[Leaf, object]) -> bool:
    """Whether full fine-tuning, a default of one side, meets the adapter of the other."""
    side = chosen.get(_FINETUNING)
    if side is None or said[_FINETUNING] != FULL_TYPE:
        return False
    own = side.weight(_ADAPTER)
    return side.weight((_FINETUNING,)) == _DEFAULT and not own and any(x in said for x in _ADAPTER)
