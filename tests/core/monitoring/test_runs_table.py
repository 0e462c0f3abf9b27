"""A run's report condensed to a row."""

import math

import msgspec

from gradience.core.monitoring.report import monitor_report
from gradience.core.monitoring.runs_table import RunRow, RunsReport, UnreadLog, run_row, with_ranks
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import alert, batch, evaluation, run_start, train_step


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


def row_of(file: str, *events: AnyEvent) -> RunRow:
    return run_row(monitor_report(file, run_signals([batch(*events)]), ()), "telemetry_v1", file)


def test_the_files_of_further_processes_belong_to_the_run() -> None:
    main = row_of("out/run.jsonl", run_start("a"), train_step(1, loss=1.0))
    seen = alert("nonfinite_gradients", Severity.ERROR)
    ranks = [row_of("out/run.rank1.jsonl", run_start("a")), row_of("out/run.rank10.jsonl", seen)]
    ranks[1] = msgspec.structs.replace(ranks[1], run_id="a")
    (row,) = with_ranks([ranks[0], main, ranks[1]])
    assert (row.file, row.ranks) == ("out/run.jsonl", ("out/run.rank1.jsonl", ranks[1].file))
    assert row.loss_last == 1.0
    assert (row.severity, row.worst_alert) == (Severity.ERROR, "nonfinite_gradients")
    assert dict(row.alerts) == {**main.alerts, "nonfinite_gradients": Severity.ERROR}


def test_the_file_of_a_process_of_another_run_is_a_row() -> None:
    rows = [row_of("run.jsonl", run_start("a")), row_of("run.rank1.jsonl", run_start("b"))]
    assert with_ranks(rows) == tuple(rows)
    assert with_ranks(rows[1:]) == tuple(rows[1:])
