"""The terminal view of a CheckReport."""

from rich.console import Console
from rich.table import Table

from gradience.cli.views.parts import heading, indented, line, number, plain_table, recommendations
from gradience.core.checking.check import CheckReport


def render_check(
    report: CheckReport, console: Console, *, verbose: bool = False, model_asked: bool = False
) -> None:
    """Prints a report: the configuration in one table, then what the rules say.

    Args:
        report: What to print.
        console: Where it goes.
        verbose: Shows the grounds of each recommendation.
        model_asked: Whether the model was named on the command line, so that it matters why it
            was not found.
    """
    heading(console, "gradience check", ", ".join(report.sources))
    indented(console, _config_table(report))
    known = report.model is not None and report.model.model_type is not None
    if report.model is not None and not (known or model_asked or verbose):
        console.print()
        line(console, "its modules were not looked at: --model CONFIG.JSON resolves them", "dim")
    elif report.model is not None:
        from gradience.cli.views.model_fit import render_model_fit

        render_model_fit(report.model, console)
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
    names, values = table.columns
    names.no_wrap, values.no_wrap, values.justify = True, False, "left"
    rows = (
        ("model", config.model_name),
        ("task", _joined(config.dataset_name, config.task_profile.value)),
        ("objective", _text(training.extras.get("objective"))),
        ("rank, alpha", _joined(_setting(lora.r), _setting(lora.alpha))),
        ("largest rank", _largest_rank(report)),
        ("scaling s", _setting(report.scaling)),
        ("target modules", shown),
        ("optimizer", optimizer.name),
        ("learning rate", _setting(optimizer.lr)),
        ("weight decay", _setting(optimizer.weight_decay)),
        (
            "batch x accumulation",
            _joined(_setting(training.batch_size), _setting(training.gradient_accumulation), " x "),
        ),
        ("effective batch", _setting(report.effective_batch)),
        ("steps or epochs", _setting(training.max_steps or training.epochs)),
        ("dtype", training.dtype),
    )
    for name, value in rows:
        if value and set(str(value)) - set("- ,x"):
            table.add_row(name, str(value))
    return table


def _largest_rank(report: CheckReport) -> str | None:
    """The largest rank and what serving it takes, where that is more than the rank tells."""
    room = report.vllm_max_lora_rank
    if report.max_rank is None or (report.max_rank == report.config.lora.r and room is None):
        return None
    served = "" if room is None else f" (vLLM: max_lora_rank={room})"
    return f"{_setting(report.max_rank)}{served}"


def _setting(value: float | None) -> str:
    """A number as it was set, not rounded as a measurement is."""
    return f"{value:.6g}" if isinstance(value, float) else number(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _joined(first: str | None, second: str | None, separator: str = ", ") -> str:
    return separator.join(part for part in (first, second) if part)
