"""The picture of a followed run."""

import io
import math

import msgspec
import pytest
from rich.console import Console

from gradience.cli.views.live import (
    Followed,
    LiveFrame,
    LiveStatus,
    ago,
    progress_line,
    render_live,
)
from gradience.cli.views.parts import duration
from gradience.cli.views.sparkline import ASCII, BLOCKS, Alphabet
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.report import monitor_report
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.signals.progress import ProgressSignal
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, resume, run_start, train_step

SILENT_S = 400.0


def known(*events: AnyEvent, progress: ProgressSignal | None = None) -> Followed:
    signals = run_signals([batch(*events)])
    if progress is not None:
        signals = signals._replace(progress=progress)
    return Followed(monitor_report("run.jsonl", signals, ()), signals)


def healthy() -> tuple[AnyEvent, ...]:
    steps = [
        train_step(n, loss=1 + math.exp(-n / 30), lr=1e-4 * n, grad_norm=0.5) for n in range(1, 101)
    ]
    timed = [msgspec.structs.replace(step, ts=float(step.step or 0)) for step in steps]
    config = ConfigSnapshot(model_name="tiny-llama")
    return (run_start(config=config), *timed, evaluation("test", 100, loss=1.5))


def running(run: Followed, **fields: object) -> LiveFrame:
    return LiveFrame(
        **{"file": "run.jsonl", "status": LiveStatus.RUNNING, "run": run, **fields}  # type: ignore[arg-type]  # fields of many types
    )


def shown(
    frame: LiveFrame, width: int = 80, height: int = 24, alphabet: Alphabet = BLOCKS
) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(render_live(frame, width, height, alphabet))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue().splitlines()


def row(lines: list[str], label: str) -> str:
    (found,) = (line for line in lines if line.strip().startswith(label))
    return found


def test_curves_stand_beside_their_numbers() -> None:
    lines = shown(running(known(*healthy())))
    loss = row(lines, "train loss")
    assert loss.split()[-4:] == ["1.97", "1.04", "1.97", "1.04"]
    assert loss.split()[2][0] == "█"
    assert row(lines, "lr").split()[-4:] == ["0.0001", "0.0001", "0.01", "0.01"]
    assert row(lines, "grad norm").split()[-1] == "0.5"
    assert row(lines, "test loss").split()[-1] == "1.5"
    assert row(lines, "gap").split()[:2] == ["gap", "1.581"]


def test_the_status_line_says_how_far_and_how_long() -> None:
    progress = ProgressSignal(step=100, total_steps=400, fraction=0.25, eta_s=297.0)
    lines = shown(running(known(*healthy(), progress=progress), silent_s=3.0), width=120)
    assert lines[1].split("  ")[1:] == [
        "run running",
        "step 100 of 400 (25 %)",
        "elapsed 0:01:39",
        "left 0:04:57",
        "tiny-llama",
        "last record 3 s ago",
    ]


@pytest.mark.parametrize("width", [120, 80, 60, 40, 24, 8, 1])
@pytest.mark.parametrize("height", [40, 24, 10, 2, 1])
def test_it_fits_the_screen(width: int, height: int) -> None:
    broken = [train_step(n, loss=math.nan, grad_norm=math.inf) for n in range(101, 110)]
    lines = shown(running(known(*healthy(), *broken), note="word " * 30), width, height)
    assert len(lines) <= max(height - 1, 1)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [80, 60, 40, 24])
def test_the_last_loss_is_whole_at_every_width(width: int) -> None:
    assert row(shown(running(known(*healthy())), width), "train loss").split()[-1] == "1.04"


def test_nothing_is_known_yet() -> None:
    frame = LiveFrame(file="run.jsonl", note="waiting for the file")
    assert shown(frame) == [
        "gradience monitor --follow  run.jsonl",
        "  run waiting",
        "  waiting for the file",
        "",
        "  no alerts",
    ]


def test_a_run_of_one_event_is_shown() -> None:
    lines = shown(running(known(run_start())))
    assert lines[1] == "  run running"
    assert lines[-1] == "  no alerts"


def test_silence_is_said() -> None:
    frame = running(known(run_start()), status=LiveStatus.SILENT, silent_s=SILENT_S)
    assert shown(frame)[1] == "  run silent  no new record for 7 min"


def test_a_resumed_run_says_so() -> None:
    assert "resumed 1x" in shown(running(known(*healthy(), resume(90))))[1]


def with_alerts(count: int) -> LiveFrame:
    run = known(*healthy())
    alerts = tuple(
        MonitorAlert(
            severity=Severity.WARNING,
            code=f"code_{n}",
            message=f"message {n} " + "word " * 12,
            first_step=n,
            last_step=n + 3,
        )
        for n in range(count)
    )
    return running(run._replace(report=msgspec.structs.replace(run.report, alerts=alerts)))


def test_an_alert_is_told_whole_with_its_steps() -> None:
    lines = shown(with_alerts(1))
    start = lines.index(row(lines, "warning"))
    assert lines[start].startswith("  warning  code_0  steps 0 to 3: message 0 word")
    assert " ".join(lines[start:]).split().count("word") == 12


def test_alerts_beyond_the_screen_are_counted() -> None:
    lines = shown(with_alerts(30))
    told = sum(line.startswith("  warning") for line in lines)
    assert lines[-1] == f"  and {30 - told} more"
    assert len(lines) <= 23
    assert told > 3


def test_a_low_screen_names_the_alerts() -> None:
    lines = shown(with_alerts(3), height=11)
    assert len(lines) == 10
    assert lines[-1] == "  3 alerts: code_0, code_1, code_2"


def test_what_is_true_of_every_run_under_way_is_no_news() -> None:
    frame = running(known(run_start(), train_step(1, loss=1.0)))
    assert frame.run is not None
    codes = {alert.code for alert in frame.run.report.alerts}
    assert {"run_unfinished", "gap_unavailable"} <= codes
    assert not {"run_unfinished", "gap_unavailable"} & {alert.code for alert in frame.news}


def test_ascii_is_enough() -> None:
    assert "\n".join(shown(with_alerts(30), alphabet=ASCII)).isascii()


def test_a_line_of_numbers_where_nothing_can_be_redrawn() -> None:
    progress = ProgressSignal(total_steps=400, fraction=0.25, eta_s=297.0)
    line = progress_line(running(known(*healthy(), progress=progress)))
    assert line == (
        "run running  step 100 of 400 (25 %)  elapsed 0:01:39  left 0:04:57  tiny-llama  "
        "train loss 1.04  test loss 1.5  lr 0.01  grad norm 0.5  gap 1.581"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0:00:00"), (3_661, "1:01:01"), (90_061, "1 d 1:01:01")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (300, "5 min"), (7_200, "2 h")],
)
def test_times_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_markup_of_a_file_is_text() -> None:
    frame = LiveFrame(file="[bold]x[/bold].jsonl", note="[red]")
    assert shown(frame)[0].endswith("[bold]x[/bold].jsonl")


def test_a_line_break_in_a_name_breaks_no_line() -> None:
    config = ConfigSnapshot(model_name="two\nlines\x1b[2J")
    lines = shown(running(known(run_start(config=config))))
    assert lines[1] == "  run running  two lines [2J"


def curve(label: str, run: Followed, width: int = 80) -> str:
    """What is drawn for a quantity, without its numbers."""
    frame = LiveFrame(file="run.jsonl", status=LiveStatus.RUNNING, run=run)
    lines = [str(line) for line in render_live(frame, width, 24).renderables]
    (line,) = [line for line in lines if line.strip().startswith(label)]
    return line[13 : width - 40]


def test_evaluations_stand_over_the_steps_that_they_were_made_at() -> None:
    steps: list[AnyEvent] = [train_step(step, loss=4.0 - step / 10) for step in range(1, 21)]
    evals = {10: 3.0, 15: 9.0, 21: 1.0}
    events = [*steps[:10], evaluation("eval", step=10, loss=evals[10])]
    events += [*steps[10:15], evaluation("eval", step=15, loss=evals[15])]
    events += [*steps[15:], evaluation("eval", step=21, loss=evals[21])]
    run = known(run_start(), *events)
    assert len(curve("train loss", run).rstrip()) == 20
    assert curve("eval loss", run).rstrip() == " " * 9 + "▃" * 5 + "█" * 5 + "▁"


def test_evaluations_without_steps_are_drawn_one_by_one() -> None:
    steps = [train_step(step, loss=4.0) for step in range(1, 21)]
    evals = [evaluation("eval", step=step, loss=loss) for step, loss in ((20, 2.0), (10, 1.0))]
    assert curve("eval loss", known(run_start(), *steps, *evals)).rstrip() == "█▁"
