"""A run's report condensed to a row."""

import math

from gradience.core.monitoring.report import monitor_report
from gradience.core.monitoring.runs_table import RunsReport, UnreadLog, run_row
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from tests.core.telemetry.sample_events import batch, evaluation, run_start, train_step


def test_a_row_says_what_the_report_says() -> None:
    signals = run_signals(
        [batch(run_start(), train_step(1, loss=1.0), evaluation("test", step=1, loss=1.5))]
    )
    row = run_row(monitor_report("run.jsonl", signals, ()), "telemetry_v1", "a/run.jsonl")
    assert (row.file, row.kind, row.n_runs) == ("a/run.jsonl", "telemetry_v1", 1)
    assert (row.loss_first, row.loss_last) == (1.0, 1.0)
    assert (row.eval_split, row.eval_last, row.eval_best) == ("test", 1.5, 1.5)
    assert row.gap is not None
    assert math.isclose(row.gap, math.exp(0.5))
    assert row.gap_estimated
    assert row.alerts["memorization_gap"] is Severity.WARNING


def test_a_run_of_nothing_is_a_row_of_nothing() -> None:
    row = run_row(monitor_report("r", run_signals([]), ()), "telemetry_v1", "r")
    assert row.last_step is row.loss_last is row.eval_best is row.gap is row.total_steps is None


def test_the_reports_severities_are_the_worst_of_each_run_and_the_files_not_read() -> None:
    row = run_row(monitor_report("r", run_signals([]), ()), "telemetry_v1", "r")
    unread = UnreadLog(file="x", severity=Severity.WARNING, reason="damaged")
    report = RunsReport(folder=".", runs=(row,), unread=(unread,))
    assert report.severities == (Severity.INFO, Severity.WARNING)
