"""``gradience convert``."""

from pathlib import Path

from rich.console import Console

from gradience.api.converting import convert
from gradience.cli.app import EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.views.parts import heading, line
from gradience.core.foreign_logs.report import ConvertReport
from gradience.core.numbers import counted


def convert_command(
    source: Path,
    out: Path,
    /,
    *,
    force: bool = False,
    json: bool = False,
) -> int:
    """Make telemetry of the log of another tool, or of an older recorder.

    Args:
        source: The log: trainer_state.json, trainer_log.jsonl, logging.jsonl, torchtune's log,
            older telemetry …; or the folder of one run.
        out: The JSON Lines file to write.
        force: Replace a file of that name.
        json: Print what was done as JSON.
    """
    report = convert(source, out, force=force)
    if json:
        print_json(report)
    else:
        render_conversion(report, console())
    return EXIT_OK


def render_conversion(report: ConvertReport, screen: Console) -> None:
    """Prints what was written, and what was odd about the log."""
    heading(screen, "gradience convert", report.out)
    events = ", ".join(f"{count} {name}" for name, count in report.events.items())
    line(
        screen, f"{counted(report.n_events, 'event')} of {report.source} ({report.kind}): {events}"
    )
    line(screen, f"runs: {', '.join(report.run_ids)}", "dim")
    for issue in report.telemetry_issues:
        times = "" if issue.count == 1 else f" ({issue.count} times)"
        place = f"row {issue.line}: " if issue.line else ""
        line(screen, f"{issue.severity.value}: {place}{issue.message}{times}", "dim")
