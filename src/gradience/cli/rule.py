"""``gradience rule``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gradience.cli.app import EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.views.rule import render_rule, render_rules
from gradience.core.checking.catalogue import RuleList, find_rule, rule_card
from gradience.core.checking.check import ALL_RULES
from gradience.core.errors import GradienceError
from gradience.shell.project_settings import find_project_settings


def rule_command(
    code: str | None = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all")] = False,
    json: bool = False,
) -> int:
    """Tell what a rule of check looks for, on which evidence, and what would refute it.

    Args:
        code: The rule's code or name.
        every: List all rules.
        json: Print as JSON.
    """
    if (code is None) is not every:
        raise GradienceError(
            f"gradience rule: expected either the code of a rule, such as {ALL_RULES[0].code}, or "
            f"--all, found {'both' if every else 'neither'}."
        )
    policy = find_project_settings(Path.cwd()).policy
    if code is not None:
        card = rule_card(find_rule(ALL_RULES, code), policy)
        if json:
            print_json(card)
        else:
            render_rule(card, console())
        return EXIT_OK
    cards = RuleList(rules=tuple(rule_card(rule, policy) for rule in ALL_RULES))
    if json:
        print_json(cards)
    else:
        render_rules(cards, console())
    return EXIT_OK
