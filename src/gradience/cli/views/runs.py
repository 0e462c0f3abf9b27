"""The terminal view of a RunsReport: one line for each run."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from rich.console import Console
from rich.text import Text

from gradience.cli.views.folding import wrapped
from gradience.cli.views.monitor import OUTCOME_STYLES
from gradience.cli.views.parts import (
    NOTHING,
    STYLES,
    heading,
    line,
    notice,
    number,
)
from gradience.core.monitoring.runs_table import RunRow, RunsReport, UnreadLog
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.shell.run_discovery import output_folder

MAX_NAMES_SHOWN = 10
"""Files without a run that the view names; all of them stand in the JSON."""

INDENT = 2

GAP = 2
"""Columns between two cells."""

HEADER_STYLE = "bold"

HEADER = [
    Text(name, HEADER_STYLE) for name in ("status", "steps", "loss", "eval", "best at", "gap")
]

TOP = "."
"""The folder itself, whose name tells nothing."""

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
        console.print()
        for text in table_lines(report.runs, console.width):
            console.print(text, soft_wrap=True)
        console.print()
        line(console, _summary(report), "dim")
    for row in report.runs:
        if verbose or row.branch_of is not None:
            _print_files(row, console)
    damaged = [log for log in report.unread if log.severity is not Severity.INFO]
    others = [log for log in report.unread if log.severity is Severity.INFO]
    for log in (*damaged, *(others if verbose else ())):
        notice(console, log.severity, "not_read", _without_root(log, report.folder))
    if others and not verbose:
        names = ", ".join(log.file for log in others[:MAX_NAMES_SHOWN])
        more = ", …" if len(others) > MAX_NAMES_SHOWN else ""
        line(console, f"{counted(len(others), 'file')} without a run: {names}{more}", "dim")


def table_lines(rows: Sequence[RunRow], width: int) -> list[Text]:
    """The table of runs, a header first.

    Names and numbers are never cut. Where the alerts do not fit beside them, each stands in a line
    under its run; a name that does not fit beside the numbers stands above them.

    Args:
        rows: At least one.
        width: Columns of the screen; numbers alone may need more.
    """
    names = [Text("run", HEADER_STYLE), *map(Text, _names(rows))]
    cells = [HEADER, *map(_cells, rows)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    numbers = [_numbers(row, widths) for row in cells]
    alerts = list(map(_worst, rows))
    longest = max(name.cell_len for name in names)
    beside = INDENT + longest + GAP + numbers[0].cell_len + GAP
    if beside + max(alert.cell_len for alert in alerts) <= width:
        told = [Text("worst", HEADER_STYLE), *alerts]
        lined = (_padded(n, longest) for n in names)
        return [_spaced(*parts) for parts in zip(lined, numbers, told, strict=True)]
    room = max(width - INDENT - GAP - numbers[0].cell_len, names[0].cell_len)
    lines = _name_and_numbers(names[0], numbers[0], min(room, longest), width)
    for name, text, alert in zip(names[1:], numbers[1:], alerts, strict=True):
        lines += _name_and_numbers(name, text, min(room, longest), width)
        if alert.plain != NOTHING:
            lines += wrapped(Text(" " * 2 * INDENT) + alert, width, 2 * INDENT)
    return lines


def _name_and_numbers(name: Text, numbers: Text, room: int, width: int) -> list[Text]:
    if name.cell_len <= room:
        return [_spaced(_padded(name, room), numbers)]
    above = wrapped(Text(" " * INDENT) + name, width, INDENT)
    return [*above, _spaced(Text(" " * room), numbers)]


def _cells(row: RunRow) -> list[Text]:
    return [
        Text(row.status.value, OUTCOME_STYLES[row.status]),
        Text(_steps(row)),
        Text(number(row.loss_last)),
        Text(number(row.eval_last)),
        Text(_best(row)),
        Text(number(row.gap) + _gap_mark(row)),
    ]


def _numbers(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    gaps = (Text(" " * (width - cell.cell_len)) for cell, width in zip(cells, widths, strict=True))
    return Text(" " * GAP).join(map(Text.append_text, gaps, cells))


def _padded(text: Text, width: int) -> Text:
    return text + Text(" " * (width - text.cell_len))


def _spaced(*parts: Text) -> Text:
    return Text(" " * INDENT) + Text(" " * GAP).join(parts)


def _names(rows: Sequence[RunRow]) -> list[str]:
    """What tells the runs apart: the folders that they wrote to, the logs' folders, or the logs."""
    outputs = [str(output_folder(Path(row.file))) for row in rows]
    folders = [str(PurePath(row.file).parent) for row in rows]
    n_outputs, n_folders = Counter(outputs), Counter(folders)
    return [
        output
        if n_outputs[output] == 1 and output != TOP
        else folder
        if n_folders[folder] == 1 and folder != TOP
        else row.file
        for row, output, folder in zip(rows, outputs, folders, strict=True)
    ]


def _without_root(log: UnreadLog, root: str) -> str:
    """The file and why it was not read, the file named once."""
    told = log.reason.removeprefix(str(PurePath(root, log.file)))
    return f"{log.file}{told}" if told != log.reason else f"{log.file}: {told}"


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


def _print_files(row: RunRow, console: Console) -> None:
    files = (*row.ranks, *row.checkpoints)
    if row.branch_of is not None:
        line(console, f"{row.file} is a branch of {row.branch_of}: {row.why}", "dim")
    elif files:
        line(console, f"{row.file}: {', '.join(files)}", "dim")
