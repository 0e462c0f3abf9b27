"""The one module that a person means by a name or an ending of it."""

import difflib
from collections.abc import Sequence

import attrs

from gradience.core.adapter.peft_layout import base_module_name
from gradience.core.errors import ConfigError


@attrs.frozen(kw_only=True)
class NamePolicy:
    """What a message about an unknown or ambiguous name lists."""

    names_shown: int = 8
    least_likeness: float = 0.4
    """Of a name that is offered for a misspelt one (``difflib``'s ratio, a little below its
    default of 0.6, since module names are long)."""


def find_module(names: Sequence[str], text: str, policy: NamePolicy | None = None) -> str:
    """The one module that a text names.

    Args:
        names: The modules, at least one.
        text: A full name, or an ending from a dot on that only one of them has.
        policy: How many names a message lists.

    Returns:
        The module's full name.

    Raises:
        ConfigError: None or several fit; the message lists them or those nearest.
    """
    policy = policy or NamePolicy()
    wanted = base_module_name(text)
    if wanted in names:
        return wanted
    ending = [name for name in names if name.endswith(f".{wanted}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        more = len(ending) - policy.names_shown
        raise ConfigError(
            f"layer {text!r}: expected the name of one module, found {len(ending)}: "
            f"{', '.join(ending[: policy.names_shown])}{f' and {more} more' if more > 0 else ''}. "
            "Give more of the name."
        )
    containing = [name for name in names if wanted and wanted in name]
    near = containing or difflib.get_close_matches(
        wanted, names, n=policy.names_shown, cutoff=policy.least_likeness
    )
    hint = f"Near it: {', '.join(near[: policy.names_shown])}" if near else f"One is {names[0]}"
    raise ConfigError(
        f"layer {text!r}: expected one of {len(names)} modules, found none of that name. {hint}."
    )
