"""The terminal view of a RunsReport: one line for each run."""

from collections import Counter
from pathlib import PurePath

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradience.cli.views.monitor import OUTCOME_STYLES
from gradience.cli.views.parts import (
    NOTHING,
    STYLES,
    heading,
    indented,
    line,
    notice,
    number,
    plain_table,
)
from gradience.core.monitoring.runs_table import RunRow, RunsReport
from gradience.core.numbers import counted
from gradience.core.severity import Severity

MAX_NAMES_SHOWN = 10
"""Files without a run that the view names; all of them stand in the JSON."""

GAP_MARKS = {
    "~": "the gap's training side is estimated",
    "?": "the gap may have another cause (--json says which)",
}


def render_runs(report: RunsReport, console: Console, *, verbose: bool = False) -> None:
    """Prints the table of runs, then what was not read."""
    heading(console, "gradience monitor", report.folder)
    if not report.runs:
        line(console, "no run found")
    else:
        indented(console, _table(report.runs))
        console.print()
        line(console, _summary(report), "dim")
    for row in report.runs:
        if verbose or row.branch_of is not None:
            _print_checkpoints(row, console)
    damaged = [log for log in report.unread if log.severity is not Severity.INFO]
    others = [log for log in report.unread if log.severity is Severity.INFO]
    for log in (*damaged, *(others if verbose else ())):
        notice(console, log.severity, "not_read", f"{log.file}: {log.reason}")
    if others and not verbose:
        names = ", ".join(log.file for log in others[:MAX_NAMES_SHOWN])
        more = ", …" if len(others) > MAX_NAMES_SHOWN else ""
        line(console, f"{counted(len(others), 'file')} without a run: {names}{more}", "dim")


def _table(rows: tuple[RunRow, ...]) -> Table:
    table = plain_table("run", "status", "steps", "loss", "eval", "best at", "gap", "worst")
    worst = table.columns[-1]
    worst.justify, worst.no_wrap = "left", False
    for row, name in zip(rows, _names(rows), strict=True):
        table.add_row(
            name,
            Text(row.status.value, OUTCOME_STYLES[row.status]),
            _steps(row),
            number(row.loss_last),
            number(row.eval_last),
            _best(row),
            number(row.gap) + _gap_mark(row),
            _worst(row),
        )
    return table


def _names(rows: tuple[RunRow, ...]) -> list[str]:
    """The logs' folders where those tell the runs apart, else their files."""
    folders = Counter(str(PurePath(row.file).parent) for row in rows)
    return [
        row.file if folders[str(folder)] > 1 or folder == PurePath() else str(folder)
        for row, folder in ((row, PurePath(row.file).parent) for row in rows)
    ]


def _best(row: RunRow) -> str:
    at = "" if row.eval_best_step is None else f" @{row.eval_best_step}"
    return f"{number(row.eval_best)}{at}"


def _steps(row: RunRow) -> str:
    of = "" if row.total_steps is None else f"/{row.total_steps}"
    return f"{number(row.last_step)}{of}"


def _gap_mark(row: RunRow) -> str:
    if row.gap is None:
        return ""
    return "?" if row.gap_doubt else "~" if row.gap_estimated else ""


def _worst(row: RunRow) -> Text:
    """The worst alert from warning up; an info is no reason to look."""
    serious = [
        (code, severity)
        for code, severity in row.alerts.items()
        if severity.at_least(Severity.WARNING)
    ]
    if not serious:
        return Text(NOTHING)
    code, severity = serious[0]
    more = f" +{len(serious) - 1}" if len(serious) > 1 else ""
    return Text(f"{severity.value} {code}{more}", STYLES[severity])


def _summary(report: RunsReport) -> str:
    alarmed = sum(_worst(row).plain != NOTHING for row in report.runs)
    marks = {_gap_mark(row) for row in report.runs}
    told = [f"{mark} {words}" for mark, words in GAP_MARKS.items() if mark in marks]
    runs = f"{counted(len(report.runs), 'run')}, {alarmed} with a warning or worse"
    return "; ".join([runs, *told])


def _print_checkpoints(row: RunRow, console: Console) -> None:
    if row.branch_of is not None:
        line(console, f"{row.file} is a branch of {row.branch_of}: {row.why}", "dim")
    elif row.checkpoints:
        line(console, f"{row.file}: {', '.join(row.checkpoints)}", "dim")
