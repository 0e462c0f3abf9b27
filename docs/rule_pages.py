"""The pages of the check's rules: an index and a page for each."""

import ast
import inspect
from itertools import pairwise
from pathlib import Path

from gradience.core.checking import policy as policy_module
from gradience.core.checking.catalogue import RuleCard, rule_card
from gradience.core.checking.check import ALL_RULES
from gradience.core.checking.policy import CheckPolicy


def rule_pages(folder: Path, note: str) -> dict[Path, str]:
    """Every page under docs/rules and its content.

    Args:
        folder: docs/rules.
        note: What generated pages begin with.

    Returns:
        Path → content.
    """
    cards = [rule_card(rule, CheckPolicy()) for rule in ALL_RULES]
    sources = threshold_sources()
    pages = {folder / f"{card.code}.md": note + _page(card, sources) for card in cards}
    return {folder / "README.md": note + _index(cards), **pages}


def threshold_sources() -> dict[str, str]:
    """The docstring of each threshold: what it is and where it comes from."""
    tree = ast.parse(inspect.getsource(policy_module))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == CheckPolicy.__name__
    )
    found = {}
    for field, text in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def _index(cards: list[RuleCard]) -> str:
    about = (
        "Each is a hypothesis with a source, and names the experiment that would refute it. A "
        "severity is the highest that a rule speaks with; where the evidence is thin it is `info` "
        "and the source says so. `gradience rule CODE` prints a page of these; `--select` and "
        "`--ignore` take codes, their beginnings and names, and `[tool.gradience]` in "
        "pyproject.toml takes `select`, `ignore`, `task-profile`, `fail-on` and, under "
        "`[tool.gradience.thresholds]`, the thresholds by name."
    )
    lines = ["# The rules of `gradience check`", "", about]
    family = ""
    for card in cards:
        if card.family != family:
            family = card.family
            head = f"## GR{card.code[2]}: {family}"
            lines += [
                "",
                head,
                "",
                "| code | name | severity | action | |",
                "|---|---|---|---|---|",
            ]
        link = f"[{card.code}]({card.code}.md)"
        level = f"{card.severity.value}, when selected" if card.optional else card.severity.value
        lines.append(f"| {link} | {card.name} | {level} | `{card.action}` | {card.summary} |")
    return "\n".join(lines) + "\n"


def _page(card: RuleCard, sources: dict[str, str]) -> str:
    optional = " Applied only where it is selected." if card.optional else ""
    only = " Silent for other adapters and for full fine-tuning." if card.lora_only else ""
    facts = (
        f"**Severity** {card.severity.value} at most · **action** `{card.action}` · "
        f"**concerns** `{card.scope}` · **confidence** {card.confidence:g}"
    )
    parts = [
        f"# {card.code} {card.name}",
        f"{card.summary}{only}{optional}",
        facts,
        f"**Why.** {card.rationale}",
        f"**Source.** {card.source}.",
        f"**Refuted by.** {card.refuted_by}",
    ]
    if card.thresholds:
        rows = "\n".join(
            f"| `{name}` | {_written(value)} | {sources[name]} |"
            for name, value in card.thresholds.items()
        )
        parts.append(f"| threshold | value | |\n|---|---|---|\n{rows}")
    parts.append(
        f"It speaks on\n\n```yaml\n{card.speaks}\n```\n\nand not on\n\n```yaml\n{card.silent}\n```"
    )
    return "\n\n".join(parts) + "\n"


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else f"`{value}`"
