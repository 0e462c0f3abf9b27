"""Keys of rank_pattern and alpha_pattern that, by the targets alone, match nothing."""

from gradience.core.checking.readings import ends_with, is_plain

PEFT_PREFIX = "base_model.model."
"""What PEFT puts before a module's name, and what pattern keys are matched without."""


def never_matches(key: str, targets: tuple[str, ...] | None) -> bool:
    r"""Whether a pattern key can match no module that the targets' names match.

    PEFT adapts a module whose name ends with a target and matches a key by
    ``re.match(r"(.*\.)?(KEY)$", name)``: of two plain endings of one name, one ends with the other.
    A key anchored by ``^`` must be the whole name, and none begins with PEFT's own prefix.

    Args:
        key: The key.
        targets: Target modules; None where they are unknown or an expression.

    Returns:
        True only where it is certain: False for expressions, as keys or as targets.
    """
    name = key.removeprefix("^").removesuffix("$")
    if not targets or not is_plain(name) or not all(map(is_plain, targets)):
        return False
    if name.startswith(PEFT_PREFIX) or (key.startswith("^") and "." not in name):
        return True
    return not any(ends_with(name, target) or ends_with(target, name) for target in targets)
