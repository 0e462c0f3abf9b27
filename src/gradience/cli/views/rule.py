"""The terminal view of the check's rules."""

from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradience.cli.views.parts import STYLES, heading, line
from gradience.core.checking.catalogue import RuleCard, RuleList


def render_rules(cards: RuleList, console: Console) -> None:
    """Prints all rules, by family: code, severity, name, action, what it looks for, source."""
    heading(console, "gradience rule", f"{len(cards.rules)} rules")
    for family, members in groupby(sorted(cards.rules, key=_order), key=lambda card: card.family):
        console.print()
        line(console, family, "bold")
        for card in members:
            _print_row(card, console)


def _order(card: RuleCard) -> tuple[str, str]:
    return card.code[:3], card.code


def _print_row(card: RuleCard, console: Console) -> None:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=6)
    grid.add_column(width=8)
    grid.add_column(overflow="fold")
    told = Text.assemble(
        (card.name, "bold"),
        f"  {card.action}{'  (when selected)' if card.optional else ''}\n{card.summary}\n",
        (card.source, "dim"),
    )
    severity = Text(card.severity.value, style=STYLES[card.severity])
    grid.add_row(card.code, severity, told)
    console.print(Padding(grid, (0, 0, 0, 2), expand=False))


def render_rule(card: RuleCard, console: Console) -> None:
    """Prints one rule with its evidence."""
    heading(console, f"{card.code} {card.name}", card.family)
    console.print()
    line(console, card.summary)
    console.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, content in _rows(card):
        grid.add_row(label, content)
    console.print(Padding(grid, (0, 0, 0, 2), expand=False))


def _rows(card: RuleCard) -> list[tuple[str, str | Text]]:
    thresholds = "\n".join(f"{name} = {value}" for name, value in card.thresholds.items())
    rows: list[tuple[str, str | Text]] = [
        ("severity", Text(f"{card.severity.value} at most", style=STYLES[card.severity])),
        ("action", card.action),
        ("scope", card.scope + (" (LoRA only)" if card.lora_only else "")),
        ("applied", "only where it is selected" if card.optional else ""),
        ("why", card.rationale),
        ("source", card.source),
        ("confidence", f"{card.confidence:g}"),
        ("refuted by", card.refuted_by),
        ("thresholds", thresholds),
        ("speaks on", card.speaks),
        ("silent on", card.silent),
    ]
    return [(label, content) for label, content in rows if content]
