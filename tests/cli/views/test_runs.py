"""The table of runs."""

import io

import msgspec
import pytest
from rich.console import Console

from gradience.cli.views.runs import render_runs, table_lines
from gradience.core.monitoring.report import monitor_report
from gradience.core.monitoring.runs_table import RunRow, RunsReport, UnreadLog, run_row
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, run_start, train_step

LONG = "sweep/llama-3-8b-instruct-lora-r16-alpha32-lr2e-4-seed42-and-more/run.jsonl"


def row(file: str, *events: AnyEvent) -> RunRow:
    events = events or (run_start(), train_step(1, loss=1.0), evaluation("eval", step=1, loss=1.1))
    return run_row(monitor_report(file, run_signals([batch(*events)]), ()), "telemetry_v1", file)


def alarmed(file: str) -> RunRow:
    alerts = {"nonfinite_gradients": Severity.WARNING, "run_unfinished": Severity.INFO}
    return msgspec.structs.replace(row(file), alerts=alerts)


def plain(*rows: RunRow, width: int) -> list[str]:
    return [text.plain for text in table_lines(rows, width)]


def printed(report: RunsReport, *, width: int = 80, verbose: bool = False) -> str:
    output = io.StringIO()
    console = Console(file=output, width=width, highlight=False, markup=False)
    render_runs(report, console, verbose=verbose)
    return output.getvalue()


def test_a_run_is_one_line_where_there_is_room() -> None:
    header, line = plain(alarmed(LONG), width=200)
    assert header.split() == "run status steps loss eval best at gap worst".split()
    assert line.startswith("  sweep/llama-3-8b-instruct-lora-r16-alpha32-lr2e-4-seed42-and-more  ")
    assert line.endswith(
        "  unfinished      1     1   1.1   1.1 @1  1.11~  warning nonfinite_gradients"
    )


def test_an_alert_without_room_stands_under_its_run() -> None:
    lines = plain(alarmed("a/run.jsonl"), row("b/run.jsonl"), width=64)
    assert [line.split()[0] for line in lines] == ["run", "a", "warning", "b"]
    assert lines[2] == "    warning nonfinite_gradients"
    assert max(map(len, lines)) <= 64


def test_a_name_without_room_stands_above_its_numbers_uncut() -> None:
    header, name, numbers, short = plain(row(LONG), row("b/run.jsonl"), width=80)
    assert name == "  sweep/llama-3-8b-instruct-lora-r16-alpha32-lr2e-4-seed42-and-more"
    assert numbers.index("unfinished") == short.index("unfinished")
    assert header.index("steps") + len("steps") == numbers.index("    1 ") + 5
    assert numbers.split() == short.split()[1:]


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 120])
def test_no_name_and_no_number_is_cut_at_any_width(width: int) -> None:
    rows = (alarmed(LONG), row("b/run.jsonl"))
    lines = plain(*rows, width=width)
    assert "".join("".join(lines).split()).count("1.1@11.11~") == len(rows)
    assert LONG.removesuffix("/run.jsonl") in "".join(line.strip() for line in lines)


def test_names_are_the_shortest_that_tell_runs_apart() -> None:
    files = [
        "trainer_state.json",
        "one/checkpoint-5/trainer_state.json",
        "two/checkpoint-5/trainer_state.json",
        "two/checkpoint-7/trainer_state.json",
        "three/run.jsonl",
        "three/run.20260101-000000.jsonl",
    ]
    lines = plain(*map(row, files), width=200)
    assert [line.split()[0] for line in lines[1:]] == [
        "trainer_state.json",
        "one",
        "two/checkpoint-5",
        "two/checkpoint-7",
        "three/run.jsonl",
        "three/run.20260101-000000.jsonl",
    ]


def test_an_unread_log_is_named_once() -> None:
    damaged = [
        UnreadLog(file=file, severity=Severity.WARNING, reason=f"out/{file}{told}")
        for file, told in (("a.jsonl", ": no telemetry"), ("b.jsonl", ":3: not JSON"))
    ]
    other = UnreadLog(file="c", severity=Severity.WARNING, reason="elsewhere")
    shown = printed(RunsReport(folder="out/", runs=(), unread=(*damaged, other)))
    assert "no run found" in shown
    told = [line.split("not_read")[1].strip() for line in shown.splitlines() if "not_read" in line]
    assert told == ["a.jsonl: no telemetry", "b.jsonl:3: not JSON", "c: elsewhere"]


def test_files_without_a_run_are_counted_and_named_in_full_when_asked() -> None:
    data = UnreadLog(file="data.jsonl", severity=Severity.INFO, reason="no log")
    report = RunsReport(folder=".", runs=(row("run.jsonl"),), unread=(data,))
    assert "1 file without a run: data.jsonl" in printed(report)
    assert "data.jsonl: no log" in printed(report, verbose=True)


def test_what_belongs_to_a_run_is_listed_when_asked() -> None:
    checkpoints = ("checkpoint-1/trainer_state.json",)
    known = msgspec.structs.replace(
        row("run.jsonl"), checkpoints=checkpoints, ranks=("run.rank1.jsonl",)
    )
    report = RunsReport(folder=".", runs=(known,))
    assert "checkpoint-1" not in printed(report)
    words = "run.jsonl: run.rank1.jsonl, checkpoint-1/trainer_state.json"
    assert words in printed(report, width=120, verbose=True)


def test_a_branch_is_said() -> None:
    branch = msgspec.structs.replace(row("b/run.jsonl"), branch_of="a/run.jsonl", why="it differs")
    shown = printed(RunsReport(folder=".", runs=(row("a/run.jsonl"), branch)))
    assert "b/run.jsonl is a branch of a/run.jsonl: it differs" in shown


def test_marks_of_the_gap_are_explained() -> None:
    shown = printed(RunsReport(folder=".", runs=(row("run.jsonl"),)), width=120)
    assert "1 run, 0 with a warning or worse; ~ the gap's training side is estimated" in shown
