"""A family of models whose modules one template describes."""

from collections.abc import Callable, Mapping

import attrs

from gradience.core.architecture.settings import Settings
from gradience.core.architecture.templates import Sizes


@attrs.frozen(kw_only=True)
class Head:
    """What stands on the base model in one class of transformers."""

    modules: str = ""
    """Template of the head's own modules."""
    prefix: str | None = None
    """Name of the base model within the class, with its dot; None for the family's own."""
    body: str | None = None
    """Template of the base model where it differs from the family's."""


@attrs.frozen(kw_only=True)
class Family:
    """Models that differ in sizes and switches only."""

    class_names: Mapping[str, str]
    """Model type → how transformers' class names for it begin."""
    prefix: str
    """Name of the base model within the classes with heads, with its dot."""
    body: str
    """Template of the base model."""
    sizes: Callable[[Settings], Sizes]
    heads: Mapping[str, Head]
    """How class names end → the head."""
    default_head: str
    """The head of a config.json that names no class."""
    layers: str = "layers"
    """The size that counts the model's layers."""
    tied: bool | None = None
    """The default of ``tie_word_embeddings``; None where it has no meaning."""
    older_names: tuple[tuple[str, str], ...] = ()
    """Parts of module names, and what they were in transformers 4."""
