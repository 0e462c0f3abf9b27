"""The terminal view of a MonitorReport."""

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradience.cli.views.parts import (
    NOTHING,
    duration,
    heading,
    indented,
    line,
    notice,
    number,
    plain_table,
    recommendations,
    remark,
)
from gradience.cli.views.sparkline import alphabet_of, sparkline
from gradience.core.monitoring.alert import AlertSeries, MonitorAlert
from gradience.core.monitoring.report import MonitorReport
from gradience.core.numbers import counted
from gradience.core.signals.run_status import Outcome, RunSignal

OUTCOME_STYLES = {
    Outcome.OK: "green",
    Outcome.UNFINISHED: "cyan",
    Outcome.ABORTED: "yellow",
    Outcome.ERROR: "bold red",
}

SHORT_S = 100.0
"""Seconds from which on a time is told in hours and minutes."""

CURVE_WIDTH = 48
"""Columns of a curve."""

LEAST_POINTS = 8
"""Fewer points have no shape to show: the numbers above say it all."""

NO_GAP, EVALUATE = "gap_unavailable", "log_train_test_ppl"
"""The alert that no gap is known, and the advice to evaluate."""

MAX_CURVES = 4
"""Curves drawn: the training loss and some of the splits."""

RESUMES_SHOWN = 5
"""Resumes that the view names by their step, the latest."""


def render_monitor(report: MonitorReport, console: Console, *, verbose: bool = False) -> None:
    """Prints a report: the run, its losses, the gap, then what to look at."""
    heading(console, "gradience monitor", report.file)
    line(console, _status_line(report))
    speed = _speed_line(report)
    if speed:
        line(console, speed)
    if report.run.n_resumes:
        line(console, _resumed_line(report.run))
    indented(console, _loss_table(report))
    if report.learning_rate.n:
        indented(console, _rate_table(report))
    _print_curves(report, console)
    _print_gap(report, console)
    _print_stop(report, console)
    if report.alerts or report.recommendations or report.telemetry_issues:
        console.print()
    for alert in _alerts_shown(report):
        notice(console, alert.severity, alert.code, alert.message)
    recommendations(console, report.recommendations, verbose=verbose)
    for issue in report.telemetry_issues:
        times = f" ({issue.count} lines)" if issue.count > 1 else ""
        notice(console, issue.severity, issue.code, f"line {issue.line}{times}: {issue.message}")
    if verbose:
        _print_details(report, console)


def _alerts_shown(report: MonitorReport) -> list[MonitorAlert]:
    """The alerts, but for a missing gap where the advice to evaluate says the same."""
    advised = any(item.action == EVALUATE for item in report.recommendations)
    return [alert for alert in report.alerts if not (advised and alert.code == NO_GAP)]


def _status_line(report: MonitorReport) -> Text:
    run, progress = report.run, report.progress
    one = run.first_step == run.last_step
    steps = f"step{'' if one else f's {number(run.first_step)} to'} {number(run.last_step)}"
    if progress.total_steps is not None and progress.total_steps != run.last_step:
        steps += f" of {progress.total_steps}"
    seconds = "" if run.duration_s is None else f", {_time(run.duration_s)}"
    model = f", {report.config.model_name}" if report.config.model_name else ""
    outcome = (run.outcome.value, OUTCOME_STYLES[run.outcome])
    return Text.assemble("run ", outcome, f"  {steps}{seconds}{model}")


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < SHORT_S else duration(seconds)


def _speed_line(report: MonitorReport) -> str:
    """Throughput, and the time left of a run that is under way; empty where neither is known."""
    progress = report.progress
    rates = (
        (progress.steps_per_s, "steps/s"),
        (progress.samples_per_s, "samples/s"),
        (progress.tokens_per_s, "tokens/s"),
    )
    parts = [f"{number(rate)} {unit}" for rate, unit in rates if rate is not None]
    if progress.eta_s is not None and report.run.outcome is Outcome.UNFINISHED:
        parts.append(f"{duration(progress.eta_s)} left at this speed")
    return ", ".join(parts)


def _resumed_line(run: RunSignal) -> str:
    """Where the run went on from checkpoints, and how much of it was trained again."""
    shown = run.resumed_from_steps[-RESUMES_SHOWN:]
    steps = ", ".join(map(str, shown))
    times = "" if run.n_resumes == 1 else f"{run.n_resumes} times, "
    last = "last " if len(shown) < run.n_resumes else ""
    at = f"{last}at step {steps}" if len(shown) == 1 else f"{last}at steps {steps}"
    return f"resumed {times}{at} ({counted(run.repeated_steps, 'step')} repeated)"


def _loss_table(report: MonitorReport) -> Table:
    """One row for the training loss, one for each evaluated split."""
    table = plain_table("loss", "first", "min", "last", "smoothed", "perplexity", "accuracy")
    loss, signals = report.loss, report.signals
    estimated = signals.train.ppl is not None and signals.extras.get("train_estimated")
    table.add_row(
        "train" + (" (ppl estimated)" if estimated else ""),
        number(loss.first),
        number(loss.min),
        number(loss.last),
        number(loss.smoothed),
        number(signals.train.ppl),
        number(signals.train.accuracy),
    )
    test, main = signals.test, report.evaluations.main
    gap = signals.extras.get("gap")
    split = gap.get("held_out_split") if isinstance(gap, dict) else None
    split = split or (main.split if main is not None else None)
    best = main.best_loss if main is not None and main.split == split else None
    if test.loss is not None or test.ppl is not None:
        table.add_row(
            f"held out ({split or 'eval'})",
            NOTHING,
            number(best),
            number(test.loss),
            NOTHING,
            number(test.ppl),
            number(test.accuracy),
        )
    return table


def _rate_table(report: MonitorReport) -> Table:
    rate = report.learning_rate
    table = plain_table("learning rate", "first", "peak", "at step", "last")
    table.add_row(
        f"{rate.n} logged",
        number(rate.first),
        number(rate.peak),
        number(rate.peak_step),
        number(rate.last),
    )
    return table


def _print_curves(report: MonitorReport, console: Console) -> None:
    """The losses as lines of blocks, where there are enough points to show a shape."""
    alphabet = alphabet_of(console.encoding)
    drawn_of = _curves_shown(report)
    shown = [
        (curve.name, sparkline(np.array(curve.value, dtype=np.float64), CURVE_WIDTH, alphabet))
        for curve in drawn_of[:MAX_CURVES]
    ]
    if shown:
        console.print()
        width = max(len(name) for name, _ in shown)
        for name, drawn in shown:
            line(console, f"{name:<{width}}  {drawn}")
    if len(drawn_of) > MAX_CURVES:
        others = counted(len(drawn_of) - MAX_CURVES, "more curve")
        line(console, f"{others} in the JSON")


def _curves_shown(report: MonitorReport) -> list[AlertSeries]:
    """The losses that have a shape: of training, of the held-out split, then of other splits."""
    main = report.evaluations.main
    first = ["loss", *([f"{main.split}.loss"] if main is not None else [])]
    curves = [
        curve
        for curve in report.curves
        if curve.name.endswith("loss") and len(curve.value) >= LEAST_POINTS
    ]
    return sorted(curves, key=lambda curve: curve.name not in first)


def _print_stop(report: MonitorReport, console: Console) -> None:
    main = report.evaluations.main
    if main is not None and main.stop_here is not None:
        line(console, Text.assemble(("stop here", "bold"), f"  {main.stop_here.words}"))


def _print_gap(report: MonitorReport, console: Console) -> None:
    gap = report.signals.extras.get("gap")
    if report.signals.gap is None or not isinstance(gap, dict):
        return
    console.print()
    how = " (training side estimated from the smoothed loss)" if gap.get("estimated") else ""
    value = (f"{report.signals.gap:.3f}", "bold")
    line(console, Text.assemble("gap ", value, f"  held-out over training perplexity{how}"))


def _print_details(report: MonitorReport, console: Console) -> None:
    table = plain_table("event", "count")
    for name, count in report.run.events.items():
        table.add_row(name, str(count))
    indented(console, table)
    _print_splits(report, console)
    remark(console, "run id", report.run.run_id or NOTHING)


def _print_splits(report: MonitorReport, console: Console) -> None:
    splits = report.signals.extras.get("splits")
    if not isinstance(splits, dict) or not splits:
        return
    table = plain_table("split", "step", "metric", "value")
    for split, entry in splits.items():
        for name, value in entry["metrics"].items():
            shown = number(value) if isinstance(value, int | float) else str(value)
            table.add_row(split, number(entry["step"]), name, shown)
    indented(console, table)
