"""Which rules are applied: codes, their beginnings and names, as in ruff."""

from collections.abc import Sequence

from gradience.core.checking.rule import Rule
from gradience.core.errors import ConfigError

ALL = "ALL"
"""Selects every rule."""

MOST_SUGGESTED = 3
"""Codes or names that a message suggests."""

_NOTHING = -1
"""Specificity of a selector that does not hold for a rule."""

_EVERYTHING = 0
"""Specificity of ``ALL``: below that of any code."""


def split_selectors(text: str | None) -> tuple[str, ...] | None:
    """``GR1,GR201`` as selectors; None where nothing is given."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def select_rules(
    rules: tuple[Rule, ...],
    select: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
) -> tuple[Rule, ...]:
    """The rules that are selected and not ignored.

    A selector is a code (``GR201``), its beginning (``GR2``), a rule's name (``attention-only``)
    or ``ALL``. As in ruff, the longer selector wins for each rule: ``--select GR201 --ignore GR2``
    applies GR201 alone. Where both are as long, it is ignored.

    Args:
        rules: All rules.
        select: What to apply; every rule that is not optional where nothing is given.
        ignore: What to leave out.

    Returns:
        The rules, in their order.

    Raises:
        ConfigError: A selector selects no rule.
    """
    left_out = () if ignore is None else tuple(ignore)
    require_known(rules, select or (), "select")
    require_known(rules, left_out, "ignore")
    if select is None:
        rules, select = tuple(rule for rule in rules if not rule.optional), (ALL,)
    return tuple(rule for rule in rules if _strongest(select, rule) > _strongest(left_out, rule))


def leave_out(rules: tuple[Rule, ...], ignore: Sequence[str]) -> tuple[Rule, ...]:
    """The rules that no selector holds for, however exactly they were selected."""
    return tuple(rule for rule in rules if _strongest(ignore, rule) == _NOTHING)


def require_known(rules: tuple[Rule, ...], selectors: Sequence[str], place: str) -> None:
    """Passes selectors that each select a rule.

    Args:
        rules: All rules.
        selectors: Codes, their beginnings, names or ``ALL``.
        place: The flag, or the file and the key, that they come from.

    Raises:
        ConfigError: One selects none.
    """
    unknown = [
        selector
        for selector in selectors
        if all(_specificity(selector, rule) == _NOTHING for rule in rules)
    ]
    if unknown:
        raise ConfigError(_refusal(unknown, rules, place))


def did_you_mean(rules: tuple[Rule, ...], wanted: str) -> str:
    """A sentence with the codes and names near what was written; empty where none is near."""
    from difflib import get_close_matches

    names = [rule.name for rule in rules]
    close = [rule.code for rule in rules if _is_near(wanted.upper(), rule.code)]
    close += [name for name in names if wanted and wanted.lower() in name]
    close += get_close_matches(wanted.lower(), names, n=MOST_SUGGESTED)
    shown = list(dict.fromkeys(close))[:MOST_SUGGESTED]
    return f" Did you mean {' or '.join(shown)}?" if shown else ""


def _is_near(wanted: str, code: str) -> bool:
    """Whether what was written begins the code, or is it but for one character."""
    if len(wanted) != len(code):
        return bool(wanted) and code.startswith(wanted)
    return sum(one != other for one, other in zip(wanted, code, strict=True)) == 1


def _strongest(selectors: Sequence[str], rule: Rule) -> int:
    return max((_specificity(selector, rule) for selector in selectors), default=_NOTHING)


def _specificity(selector: str, rule: Rule) -> int:
    """How exactly a selector names a rule: the length of the code that it stands for."""
    wanted = selector.strip()
    if wanted.lower() == rule.name:
        return len(rule.code)
    code = wanted.upper()
    if code == ALL:
        return _EVERYTHING
    return len(code) if code and rule.code.startswith(code) else _NOTHING


def _refusal(unknown: Sequence[str], rules: tuple[Rule, ...], place: str) -> str:
    families = sorted({rule.code[:3] for rule in rules})
    found = ", ".join(repr(selector) for selector in unknown)
    near = did_you_mean(rules, unknown[0].strip())
    return (
        f"{place}: expected codes of rules, beginnings of them ({', '.join(families)}), names or "
        f"{ALL}, found {found}.{near} gradience rule --all lists them."
    )
