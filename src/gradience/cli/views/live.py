"""The terminal view of a run that is being followed: a pure rendering of what is known of it."""

import math
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

import attrs
import numpy as np
from rich.console import Group
from rich.text import Text

from gradience.cli.views.folding import folded, one_line, wrapped
from gradience.cli.views.parts import STYLES, duration, number
from gradience.cli.views.sparkline import BLOCKS, Alphabet, sparkline
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.report import MonitorReport
from gradience.core.numbers import counted
from gradience.core.signals.batch import NO_STEP, Ints
from gradience.core.signals.buckets import Buckets, ColumnHistory
from gradience.core.signals.pipeline import RunSignals
from gradience.core.signals.run_status import Outcome
from gradience.shell.trainer.live_alerts import NO_NEWS

SPLITS_SHOWN = 3
"""Evaluated splits that have a line, the first to appear."""

LABEL_WIDTH = 10

NUMBER_WIDTH = 10
"""Columns of a number and the space before it: ``-1.23e-05``."""

COLUMNS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (64, ("first", "min", "max", "last")),
    (44, ("min", "last")),
    (0, ("last",)),
)
"""From a width on, the numbers that stand beside a line."""

LEAST_ALERT_ROWS = 4
"""In fewer rows than this, alerts are named alone."""

LEAST_SPARK = 6
"""Fewer columns than this show no line."""


class LiveStatus(Enum):
    """How a followed run stands."""

    WAITING = "waiting"
    READING = "reading"
    """What was written before is being caught up with."""
    RUNNING = "running"
    SILENT = "silent"
    """It goes on by its record, which nothing was added to for long."""
    GONE = "file gone"
    OK = "ok"
    ABORTED = "aborted"
    ERROR = "error"


STATUS_STYLES = {
    LiveStatus.WAITING: "cyan",
    LiveStatus.READING: "cyan",
    LiveStatus.RUNNING: "bold cyan",
    LiveStatus.SILENT: "yellow",
    LiveStatus.GONE: "yellow",
    LiveStatus.OK: "bold green",
    LiveStatus.ABORTED: "bold yellow",
    LiveStatus.ERROR: "bold red",
}

ENDED = {
    Outcome.OK: LiveStatus.OK,
    Outcome.ABORTED: LiveStatus.ABORTED,
    Outcome.ERROR: LiveStatus.ERROR,
}
"""The statuses of a run that is over."""


class Followed(NamedTuple):
    """What is known of a run: its judged report, and the curves behind it."""

    report: MonitorReport
    signals: RunSignals


@attrs.frozen(kw_only=True)
class LiveFrame:
    """What one picture shows."""

    file: str
    status: LiveStatus = LiveStatus.WAITING
    run: Followed | None = None
    """None where nothing is known yet."""
    silent_s: float | None = None
    """Seconds since the file grew; None where that is not known."""
    note: str = ""
    """What became of the file, or why nothing is known."""

    @property
    def news(self) -> tuple[MonitorAlert, ...]:
        """The alerts worth telling while a run goes on, the most severe first."""
        if self.run is None:
            return ()
        return tuple(alert for alert in self.run.report.alerts if alert.code not in NO_NEWS)


def render_live(frame: LiveFrame, width: int, height: int, alphabet: Alphabet = BLOCKS) -> Group:
    """The picture of a frame.

    Args:
        frame: What is known.
        width: Columns of the screen; no line is longer.
        height: Rows of the screen; further alerts are counted where they would not fit.
        alphabet: What curves are drawn with.

    Returns:
        Lines of text.
    """
    lines = [_title(frame), *folded(_status_parts(frame), width)]
    if frame.note:
        lines += wrapped(Text(f"  {frame.note}", style="yellow"), width, 2)
    if frame.run is not None:
        lines += [Text(), *_curves(frame.run, width, alphabet), *_gap(frame.run.report, width)]
    rows = max(height - 1, 1)
    alerts = _alerts(frame.news, width, max(rows - len(lines), 1))
    lines = [one_line(line) for line in (*lines[: max(rows - len(alerts), 0)], *alerts)]
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="crop")
    return Group(*lines)


def progress_line(frame: LiveFrame) -> str:
    """The numbers of a frame in one line, for where nothing can be redrawn."""
    parts = [part.plain for part in _status_parts(frame)]
    if frame.run is not None:
        parts += [f"{label} {number(curve.last)}" for label, curve in _named_curves(frame.run)]
        gap = frame.run.report.signals.gap
        parts += [] if gap is None else [f"gap {gap:.3f}"]
    return "  ".join(parts)


def alert_line(alert: MonitorAlert) -> Text:
    """Severity, code, steps and message of an alert."""
    style = STYLES[alert.severity]
    steps = _steps(alert)
    return Text.assemble(
        (f"{alert.severity.value:<8}", style),
        " ",
        (alert.code, "bold"),
        f"  {steps}: " if steps else "  ",
        alert.message,
    )


def ago(seconds: float) -> str:
    """A time that has passed, in one unit."""
    for size, name in ((3_600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(seconds, 0.0):.0f} s"


def _title(frame: LiveFrame) -> Text:
    return Text.assemble(("gradience monitor --follow", "bold"), "  ", (frame.file, "dim"))


def _status_parts(frame: LiveFrame) -> list[Text]:
    parts = [Text.assemble("run ", (frame.status.value, STATUS_STYLES[frame.status]))]
    if frame.run is not None:
        parts += map(Text, _progress_parts(frame.run, frame.status))
    if frame.silent_s is not None and frame.status in (LiveStatus.RUNNING, LiveStatus.SILENT):
        silent = frame.status is LiveStatus.SILENT
        words = "no new record for" if silent else "last record"
        text = f"{words} {ago(frame.silent_s)}{'' if silent else ' ago'}"
        parts.append(Text(text, style="yellow" if silent else ""))
    return parts


def _progress_parts(run: Followed, status: LiveStatus) -> Iterator[str]:
    progress, seconds = run.signals.progress, run.report.run.duration_s
    step = run.report.run.last_step
    if step is not None:
        share = "" if progress.fraction is None else f" ({100 * progress.fraction:.0f} %)"
        total = "" if progress.total_steps is None else f" of {progress.total_steps}"
        yield f"step {step}{total}{share}"
    if seconds:
        yield f"elapsed {duration(seconds)}"
    if progress.eta_s is not None and status in (LiveStatus.RUNNING, LiveStatus.SILENT):
        yield f"left {duration(progress.eta_s)}"
    if run.report.run.n_resumes:
        yield f"resumed {run.report.run.n_resumes}x"
    if run.report.config.model_name:
        yield run.report.config.model_name


@attrs.frozen(eq=False)
class _Curve:
    """One quantity over the run."""

    column: ColumnHistory
    beside: Ints | None = None
    """For each training row, which value stands there, -1 for none; None where each has its own
    place."""

    @property
    def first(self) -> float | None:
        return _first(self.column.value)

    @property
    def last(self) -> float | None:
        return _first(self.column.value[::-1])

    @property
    def min(self) -> float | None:
        known = self.column.low[np.isfinite(self.column.low)]
        return float(known.min()) if known.size else None

    @property
    def max(self) -> float | None:
        known = self.column.high[np.isfinite(self.column.high)]
        return float(known.max()) if known.size else None

    def drawn(self, width: int, alphabet: Alphabet) -> str:
        """The curve, of evaluations over the training steps that they were made at."""
        series = [self.column.value, self.column.low, self.column.high]
        if self.beside is not None:
            known = self.beside >= 0
            series = [np.where(known, values[self.beside], np.nan) for values in series]
        value, low, high = series
        return sparkline(value, width, alphabet, low=low, high=high)

    def numbers(self, names: Sequence[str]) -> list[str]:
        """The numbers of these names, as text."""
        known = {"first": self.first, "min": self.min, "max": self.max, "last": self.last}
        return [number(known[name]) for name in names]


def _first(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float | None:
    known = values[np.isfinite(values)]
    return float(known[0]) if known.size else None


def _named_curves(run: Followed) -> Iterator[tuple[str, _Curve]]:
    """The quantities that are known, by name."""
    history = run.signals.history
    evaluated = run.signals.eval_histories[:SPLITS_SHOWN]
    curves = [
        ("train loss", _Curve(history.loss)),
        *((f"{e.split} loss", _Curve(e.loss, _rows_of(e, history))) for e in evaluated),
        ("lr", _Curve(history.lr)),
        ("grad norm", _Curve(history.grad_norm)),
    ]
    yield from ((label, curve) for label, curve in curves if curve.last is not None)


def _rows_of(evals: Buckets, history: Buckets) -> Ints | None:
    """The latest evaluation at each training row; None where steps do not tell, or rows are few."""
    steps, rows = evals.last_step, history.last_step
    if steps.size >= rows.size or NO_STEP in steps or NO_STEP in rows or (np.diff(steps) < 0).any():
        return None
    at = np.searchsorted(steps, rows, side="right") - 1
    at[-1] = steps.size - 1
    return at


def _curves(run: Followed, width: int, alphabet: Alphabet) -> Iterator[Text]:
    """A line for each quantity, its numbers beside it."""
    names = next(names for least, names in COLUMNS if width >= least)
    spark = width - 2 - LABEL_WIDTH - 1 - NUMBER_WIDTH * len(names)
    spark = spark if spark >= LEAST_SPARK else 0
    rows = list(_named_curves(run))
    if rows:
        yield _row("", " " * spark, names, "dim")
    for label, curve in rows:
        yield _row(label, curve.drawn(spark, alphabet).ljust(spark), curve.numbers(names))


def _row(label: str, spark: str, numbers: Sequence[str], style: str = "") -> Text:
    cells = "".join(f"{text:>{NUMBER_WIDTH}}" for text in numbers)
    head = f"  {label[:LABEL_WIDTH]:<{LABEL_WIDTH}} "
    return Text.assemble(head, (spark, "cyan"), cells, style=style)


def _gap(report: MonitorReport, width: int) -> Iterator[Text]:
    gap, details = report.signals.gap, report.signals.extras.get("gap")
    if gap is None or math.isnan(gap):
        return
    estimated = isinstance(details, dict) and details.get("estimated")
    how = " (training side estimated)" if estimated else ""
    value = (f"{gap:.3f}", "bold")
    text = Text.assemble(f"  {'gap':<{LABEL_WIDTH}} ", value, f"  held-out over training{how}")
    yield from wrapped(text, width, LABEL_WIDTH + 3)


def _alerts(alerts: Sequence[MonitorAlert], width: int, rows: int) -> list[Text]:
    """The alerts that fit into so many rows, and how many more there are."""
    if not alerts:
        return [Text(), Text("  no alerts", style="dim")][-rows:]
    if rows < LEAST_ALERT_ROWS:
        codes = ", ".join(alert.code for alert in alerts)
        return [Text(f"  {counted(len(alerts), 'alert')}: {codes}", STYLES[alerts[0].severity])]
    lines = [Text()]
    for place, alert in enumerate(alerts):
        left = rows - len(lines)
        rest = len(alerts) - place
        folded = wrapped(Text("  ") + alert_line(alert), width, 11)
        if len(folded) + (rest > 1) <= left:
            lines += folded
        elif rest == 1 and left >= 1:
            lines += folded[:left]
        else:
            lines.append(Text(f"  and {rest} more", style="dim"))
            break
    return lines


def _steps(alert: MonitorAlert) -> str:
    first, last = alert.first_step, alert.last_step
    if first is None or last is None or first == last:
        known = first if first is not None else last
        return "" if known is None else f"step {known}"
    return f"steps {first} to {last}"
