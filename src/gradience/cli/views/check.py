"""The terminal view of a CheckReport."""

from rich.console import Console
from rich.table import Table

from gradience.cli.views.parts import (
    heading,
    indented,
    line,
    number,
    plain_table,
    recommendations,
)
from gradience.core.checking.check import CheckReport


def render_check(report: CheckReport, console: Console, *, verbose: bool = False) -> None:
    """Prints a report: the configuration in one table, then what the rules say."""
    heading(console, "gradience check", ", ".join(report.sources))
    indented(console, _config_table(report))
    console.print()
    recommendations(console, report.recommendations, verbose=verbose)
    console.print()
    more = "" if verbose else " (--verbose shows its grounds)"
    line(console, f"{report.rules_applied} rules; each advice is a hypothesis{more}", "dim")


def _config_table(report: CheckReport) -> Table:
    config = report.config
    lora, optimizer, training = config.lora, config.optimizer, config.training
    targets = lora.target_modules
    shown = ", ".join(sorted(targets)) if isinstance(targets, tuple) else targets
    table = plain_table("setting", "value")
    table.show_header = False
    table.columns[1].justify = "left"
    rows = (
        ("model", config.model_name),
        ("task", _joined(config.dataset_name, config.task_profile.value)),
        ("rank, alpha", _joined(number(lora.r), number(lora.alpha))),
        ("scaling s", number(report.scaling)),
        ("target modules", shown),
        ("optimizer", optimizer.name),
        ("learning rate", number(optimizer.lr)),
        ("weight decay", number(optimizer.weight_decay)),
        (
            "batch x accumulation",
            _joined(number(training.batch_size), number(training.gradient_accumulation), " x "),
        ),
        ("steps or epochs", number(training.max_steps or training.epochs)),
        ("dtype", training.dtype),
    )
    for name, value in rows:
        if value and set(str(value)) - set("- ,x"):
            table.add_row(name, str(value))
    return table


def _joined(first: str | None, second: str | None, separator: str = ", ") -> str:
    return separator.join(part for part in (first, second) if part)
