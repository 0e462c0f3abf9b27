"""Pieces that the views share: numbers, severities, lists of advice."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradience.core.adapter.module_names import shared_path
from gradience.core.severity import Severity

if TYPE_CHECKING:
    from gradience.core.telemetry.events import Recommendation

STYLES = {
    Severity.INFO: "cyan",
    Severity.WARNING: "yellow",
    Severity.ERROR: "bold red",
    Severity.CRITICAL: "bold white on red",
}
"""Colour of a severity; its word stands beside it, so nothing is told by colour alone."""

NAME_MIN_WIDTH = 14
"""Columns that a table leaves to the names in its first column, however narrow the screen."""

WIDEST = 10_000
"""Columns of a terminal that no table fills."""

NOTHING = "-"
"""Stands for a number that there is none of."""


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits; a dash for None."""
    if value is None:
        return NOTHING
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    return f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """A fraction as per cent; a dash for None."""
    return NOTHING if value is None else f"{100 * value:.0f} %"


def duration(seconds: float) -> str:
    """Seconds as ``h:mm:ss``, or with days where they are many."""
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    clock = f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def heading(console: Console, title: str, detail: str = "") -> None:
    """The first line of a view."""
    text = Text.assemble((title, "bold"), ("  " if detail else "", ""), (detail, "dim"))
    console.print(text, overflow="fold")


def plain_table(*columns: str, title: str | None = None) -> Table:
    """A table without boxes; the first column is text, the others are numbers."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        first = index == 0
        table.add_column(
            column,
            justify="left" if first else "right",
            overflow="fold",
            no_wrap=not first,
        )
    return table


def line(console: Console, text: str | Text, style: str = "") -> None:
    """A line of a view, indented; a long one goes on under its beginning."""
    console.print(Padding(text, (0, 0, 0, 2), expand=False), style=style)


def common_stem(names: Sequence[str]) -> str:
    """The beginning that all names share, up to a dot (kohya's names: an underscore) and with it.

    Empty for fewer than two names.
    """
    if len(set(names)) <= 1:
        return ""
    mark = "." if any("." in name for name in names) else "_"
    parents = shared_path(name.split(mark)[:-1] for name in names)
    return "".join(f"{part}{mark}" for part in parents)


def indented(console: Console, table: Table) -> None:
    """Prints a table with an empty line above it; numbers are never cut, whatever the width.

    Where the screen is too narrow for them, lines run over its edge and the terminal wraps them.
    """
    console.print()
    for index, column in enumerate(table.columns):
        content = max(map(cell_len, map(str, [column.header, *column.cells])))
        if column.justify == "right" or index == 0:
            column.min_width = min(content, NAME_MIN_WIDTH) if index == 0 else content
    padded = Padding(table, (0, 0, 0, 2), expand=False)
    needed = Measurement.get(console, console.options.update(width=WIDEST), padded).minimum
    before = console.width
    console.width = max(before, needed)
    console.print(padded)
    console.width = before


def notice(console: Console, severity: Severity, code: str, message: str) -> None:
    """One line: severity, code, message."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8)
    grid.add_column(overflow="fold")
    text = Text.assemble((code, "bold"), "  ", message)
    grid.add_row(Text(severity.value, style=STYLES[severity]), text)
    console.print(Padding(grid, (0, 0, 0, 2), expand=False))


def remark(console: Console, label: str, text: str) -> None:
    """A line that belongs to the notice above it."""
    if text:
        line = Text.assemble((f"{label}: ", "dim"), (text, ""))
        console.print(Padding(line, (0, 0, 0, 11), expand=False), overflow="fold")


def recommendations(console: Console, items: "Iterable[Recommendation]", *, verbose: bool) -> None:
    """Recommendations, each with its rule's code and the experiment that would refute it."""
    for item in items:
        code = item.evidence.get("rule")
        label = f"{code} {item.action}" if isinstance(code, str) else item.action
        notice(console, item.severity, label, item.message)
        if verbose:
            remark(console, "why", item.rationale)
            remark(console, "source", str(item.evidence.get("source", "")))
            remark(console, "confidence", f"{item.confidence:g}")
        if item.severity.at_least(Severity.WARNING) or verbose:
            remark(console, "refuted by", item.refuted_by)
