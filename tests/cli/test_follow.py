"""``gradience monitor RUN --follow``."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from gradience.cli.follow import (
    Ending,
    Followup,
    RunWatch,
    exit_code,
    follow_run,
    log_of,
)
from gradience.cli.screens import FollowPolicy, LineScreen, Screen
from gradience.cli.views.live import LiveFrame, LiveStatus
from gradience.core.errors import TelemetryError
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.monitoring.report import MonitorReport, monitor_report
from gradience.core.severity import FailOn
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent, RunStatus
from gradience.shell.telemetry.follow import Findings, LogFollower
from tests.core.telemetry.sample_events import evaluation, resume, run_end, run_start, train_step

Act = Callable[[Path], None]


def append(*events: AnyEvent) -> Act:
    def act(path: Path) -> None:
        with path.open("ab") as file:
            file.write(b"".join(encode_event(event) + b"\n" for event in events))

    return act


def judge(found: Findings) -> MonitorReport:
    return monitor_report("run.jsonl", found.signals, found.issues)


class Script:
    """A clock, and what happens to the file while the watch sleeps: one act a sleep."""

    def __init__(self, path: Path, *acts: Act | None) -> None:
        self.path = path
        self.now = 1000.0
        self.begun = self.now
        self.sleeps = 0
        self._acts = list(acts)

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time passes, and the next act is done; after the last one comes Ctrl-C."""
        self.now += seconds
        self.sleeps += 1
        if not self._acts:
            raise KeyboardInterrupt
        act = self._acts.pop(0)
        if act is not None:
            act(self.path)


class Seen:
    """A screen that keeps what it is shown."""

    def __init__(self) -> None:
        self.frames: list[LiveFrame] = []
        self.changes: list[bool] = []

    def running(self) -> Console:
        """A context manager that does nothing."""
        return Console(file=io.StringIO())

    def show(self, frame: LiveFrame, now: float, *, changed: bool) -> None:
        """Keeps the frame."""
        del now
        self.frames.append(frame)
        self.changes.append(changed)

    @property
    def statuses(self) -> list[LiveStatus]:
        """The statuses, each run of equal ones once."""
        found: list[LiveStatus] = []
        for frame in self.frames:
            if found[-1:] != [frame.status]:
                found.append(frame.status)
        return found


def watch(
    script: Script,
    screen: Screen,
    *,
    policy: FollowPolicy | None = None,
    timeout_s: float | None = None,
) -> Followup:
    return RunWatch(
        LogFollower(script.path, clock=script.clock),
        screen,
        judge,
        policy=policy,
        timeout_s=timeout_s,
        clock=script.clock,
        sleep=script.sleep,
    ).follow()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def test_a_run_is_followed_from_before_its_file_to_its_end(path: Path) -> None:
    seen = Seen()
    script = Script(
        path, None, append(run_start()), append(train_step(1, loss=2.0)), append(run_end()), None
    )
    ending, report = watch(script, seen)
    assert ending is Ending.ENDED
    assert report is not None
    assert report.loss.last == 2.0
    assert seen.statuses == [LiveStatus.WAITING, LiveStatus.RUNNING, LiveStatus.OK]
    assert seen.changes == [False, False, True, True, True, False]
    assert seen.frames[0].note == "waiting for the file"


def test_what_is_added_right_after_the_end_counts(path: Path) -> None:
    late = append(evaluation("test", loss=1.0))
    script = Script(path, append(run_start(), run_end()), late, None)
    _, report = watch(script, Seen())
    assert report is not None
    assert report.signals.test.loss == 1.0


def test_a_resume_right_after_the_end_goes_on(path: Path) -> None:
    seen = Seen()
    script = Script(
        path,
        append(run_start(), run_end(RunStatus.ABORTED)),
        append(resume(0)),
        append(run_end()),
        None,
    )
    ending, _ = watch(script, seen)
    assert ending is Ending.ENDED
    assert seen.statuses[1:] == [LiveStatus.ABORTED, LiveStatus.RUNNING, LiveStatus.OK]


def test_ctrl_c_gives_the_report_so_far(path: Path) -> None:
    ending, report = watch(Script(path, append(run_start(), train_step(1, loss=2.0))), Seen())
    assert ending is Ending.INTERRUPTED
    assert report is not None
    assert report.loss.last == 2.0


def test_ctrl_c_before_anything_came(path: Path) -> None:
    assert watch(Script(path), Seen()) == (Ending.INTERRUPTED, None)


def test_a_silent_writer_is_said_and_waited_for(path: Path) -> None:
    seen = Seen()
    script = Script(
        path, append(run_start(), train_step(1)), None, None, None, append(run_end()), None
    )
    os.utime(path.parent, (1000, 1000))
    watch(script, seen, policy=FollowPolicy(look_s=100.0, silent_s=250.0))
    assert LiveStatus.SILENT in seen.statuses
    assert seen.statuses[-1] is LiveStatus.OK


def test_a_file_that_was_silent_before_is_silent_at_once(path: Path) -> None:
    append(run_start(), train_step(1))(path)
    os.utime(path, (400, 400))
    seen = Seen()
    watch(Script(path), seen)
    assert (seen.frames[0].status, seen.frames[0].silent_s) == (LiveStatus.SILENT, 600.0)


def test_the_timeout_counts_from_the_last_record(path: Path) -> None:
    script = Script(path, None, append(run_start()), None, append(train_step(1)), *[None] * 9)
    ending, report = watch(script, Seen(), policy=FollowPolicy(look_s=10.0), timeout_s=35.0)
    assert (ending, script.sleeps) == (Ending.TIMED_OUT, 8)
    assert report is not None


def test_a_timeout_without_a_file(path: Path) -> None:
    ending, report = watch(
        Script(path, *[None] * 9), Seen(), policy=FollowPolicy(look_s=10.0), timeout_s=35.0
    )
    assert (ending, report) == (Ending.TIMED_OUT, None)


def test_a_restart_is_said(path: Path) -> None:
    def begin_anew(path: Path) -> None:
        path.write_bytes(encode_event(run_start("other")) + b"\n")

    seen = Seen()
    watch(Script(path, append(run_start(), train_step(1, loss=1.0)), begin_anew, None), seen)
    assert seen.frames[-1].note.startswith("the file was truncated from ")
    assert seen.frames[-1].run is not None
    assert seen.frames[-1].run.report.run.run_id == "other"


def test_a_file_that_was_emptied_is_said(path: Path) -> None:
    def empty(path: Path) -> None:
        path.write_bytes(b"")

    seen = Seen()
    watch(Script(path, append(run_start(), train_step(1, loss=1.0)), empty, None), seen)
    notes = [frame.note for frame in seen.frames]
    assert any(n.endswith(" to 0 bytes; it is read from its beginning") for n in notes)
    assert notes[-1] == "waiting for a record"


def test_a_file_that_goes_is_said(path: Path) -> None:
    seen = Seen()
    watch(Script(path, append(run_start(), train_step(1, loss=1.0)), Path.unlink, None), seen)
    assert seen.frames[-1].status is LiveStatus.GONE
    assert seen.frames[-1].note == "the file is gone; waiting for it to come back"
    assert seen.frames[-1].run is not None


def test_what_is_no_log_is_said(path: Path) -> None:
    path.write_text("hello\n")
    seen = Seen()
    watch(Script(path), seen)
    assert seen.frames[0].note.startswith("waiting for a record: ")
    assert "expected telemetry" in seen.frames[0].note


def lines_of(path: Path, *acts: Act | None, policy: FollowPolicy | None = None) -> list[str]:
    output = io.StringIO()
    target = Console(file=output, width=80)
    policy = policy or FollowPolicy()
    watch(Script(path, *acts), LineScreen(target, policy), policy=policy)
    return output.getvalue().splitlines()


def test_a_pipe_gets_a_line_for_each_status_and_each_alert_once(path: Path) -> None:
    bad = [train_step(n, loss=float("nan")) for n in range(2, 5)]
    lines = lines_of(
        path, append(run_start(), train_step(1, loss=1.0)), append(*bad), None, append(run_end())
    )
    assert lines[:2] == ["run waiting", "  waiting for the file"]
    assert lines[2].startswith("run running  step 1")
    assert sum("nonfinite_loss" in line for line in lines) == 1
    assert lines[-1].startswith("run ok  step ")
    assert "\x1b" not in "\n".join(lines)


def test_a_pipe_gets_a_note_once(path: Path) -> None:
    def begin_anew(path: Path) -> None:
        path.write_bytes(encode_event(run_start()) + b"\n")

    first = append(run_start(), train_step(1, loss=1.0))
    printed = lines_of(path, first, begin_anew, None, append(run_end()))
    assert sum("read from its beginning" in text for text in printed) == 1
    assert printed[-1].startswith("run ok")


def test_a_pipe_gets_the_numbers_now_and_then(path: Path) -> None:
    steps: list[Act] = [append(train_step(n, loss=float(n))) for n in range(1, 9)]
    lines = lines_of(
        path, append(run_start()), *steps, policy=FollowPolicy(look_s=10.0, line_s=30.0)
    )
    assert [line for line in lines if "train loss" in line] == [
        "run running  step 3  last record 0 s ago  train loss 3",
        "run running  step 6  last record 0 s ago  train loss 6",
    ]


@pytest.mark.parametrize(
    ("ending", "status", "fail_on", "code"),
    [
        (Ending.ENDED, RunStatus.OK, FailOn.NEVER, 0),
        (Ending.ENDED, RunStatus.OK, FailOn.INFO, 1),
        (Ending.ENDED, RunStatus.ABORTED, FailOn.NEVER, 1),
        (Ending.ENDED, RunStatus.ERROR, FailOn.NEVER, 1),
        (Ending.TIMED_OUT, None, FailOn.NEVER, 0),
        (Ending.TIMED_OUT, None, FailOn.INFO, 1),
        (Ending.INTERRUPTED, RunStatus.ERROR, FailOn.INFO, 130),
    ],
)
def test_exit_codes(
    path: Path, ending: Ending, status: RunStatus | None, fail_on: FailOn, code: int
) -> None:
    append(run_start(), train_step(1, loss=1.0), *([run_end(status)] if status else []))(path)
    follower = LogFollower(path)
    follower.look()
    found = follower.findings()
    assert found is not None
    assert exit_code(ending, judge(found), fail_on) == code


def test_the_command_prints_the_report_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gradience.cli.follow.time.sleep", lambda _: None)
    append(run_start(), train_step(1, loss=1.0), run_end())(path)
    assert follow_run(path, policy=MonitorPolicy()) == 0
    out = capsys.readouterr().out
    assert "run ok  step 9" in out
    assert "smoothed" in out


def test_json_is_the_report_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(run_start(), train_step(1, loss=1.0), run_end(RunStatus.ERROR))(path)
    assert follow_run(path, policy=MonitorPolicy(), json=True) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["run"]["outcome"] == "error"
    assert "run error" in captured.err


def test_nothing_within_the_timeout_is_an_error(path: Path) -> None:
    with pytest.raises(TelemetryError, match=r"expected a run within 0 s, found none"):
        follow_run(path, policy=MonitorPolicy(), timeout_s=0.0)


def test_strict_refuses_an_issue(path: Path) -> None:
    append(run_start())(path)
    with path.open("ab") as file:
        file.write(b"no json\n")
    with pytest.raises(TelemetryError, match=r"run.jsonl:2: .*--strict-schema"):
        follow_run(path, policy=MonitorPolicy(), strict_schema=True)


def test_a_folder_stands_for_its_run(tmp_path: Path, path: Path) -> None:
    assert log_of(tmp_path) == tmp_path / "run.jsonl"
    (tmp_path / "trainer_state.json").write_text("{}")
    assert log_of(tmp_path) == tmp_path / "trainer_state.json"
    append(run_start())(path)
    assert log_of(tmp_path) == path
    assert log_of(path) == path
