"""Values that a tool takes where its configuration says nothing."""

from collections.abc import Mapping

from gradience.core.config.leaves import DEFAULTS, Leaf, from_leaves, leaf_name, leaves, marks
from gradience.core.config.snapshot import ConfigSnapshot


def with_defaults(
    config: ConfigSnapshot, values: Mapping[str, object], tool: str
) -> ConfigSnapshot:
    """Fills in what a tool does where the file says nothing, and marks it as such.

    Args:
        config: What the file says.
        values: Dotted names such as ``optimizer.lr`` or ``training.extras.max_grad_norm`` with
            the tool's defaults.
        tool: Whose defaults they are, for reports.

    Returns:
        The configuration, with the names of all filled-in values in ``extras["defaults"]``.
    """
    said = leaves(config)
    marked = marks(config)
    for name, value in values.items():
        leaf = _leaf(name)
        if leaf not in said:
            said[leaf] = value
            marked[leaf_name(leaf)] = tool
    return from_leaves(said, marked)


def default_source(config: ConfigSnapshot, name: str) -> str | None:
    """Whose default a value is.

    Args:
        config: A configuration.
        name: The value's dotted name, such as ``optimizer.lr``.

    Returns:
        The tool, as words for a report; None for a value that was given, or is unknown.
    """
    found = config.extras.get(DEFAULTS)
    tool = found.get(name) if isinstance(found, Mapping) else None
    return tool if isinstance(tool, str) else None


def _leaf(name: str) -> Leaf:
    part, _, rest = name.partition(".extras.")
    if rest:
        return (part, "extras", rest)
    return tuple(name.split(".", 1))
