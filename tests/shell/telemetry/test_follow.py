"""A log that is followed: growth, truncation, rotation, absence, other tools' logs."""

import json
import math
import shutil
from pathlib import Path

import pytest

from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.signals.run_status import Outcome
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent, RunStatus
from gradience.shell.telemetry import telemetry_tail
from gradience.shell.telemetry.follow import FollowState, LogFollower
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter
from tests.core.telemetry.sample_events import (
    evaluation,
    line,
    resume,
    run_end,
    run_start,
    train_step,
)
from tests.shared_data import DATA


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def lines(*events: AnyEvent) -> bytes:
    return b"".join(encode_event(event) + b"\n" for event in events)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def signals(follower: LogFollower) -> RunSignals:
    found = follower.findings()
    assert found is not None
    return found.signals


def codes(follower: LogFollower, *, whole: bool = False) -> list[str]:
    found = follower.findings(whole=whole)
    assert found is not None
    return [issue.code for issue in found.issues]


def test_an_absent_file_is_waited_for(path: Path) -> None:
    follower = LogFollower(path)
    assert follower.look().state is FollowState.WAITING
    assert follower.findings() is None
    append(path, lines(run_start(), train_step(1, loss=2.0)))
    update = follower.look()
    assert (update.state, update.has_news) == (FollowState.FOLLOWED, True)
    assert signals(follower).loss.last == 2.0


def test_nothing_new_is_no_news(path: Path) -> None:
    append(path, lines(run_start()))
    follower = LogFollower(path)
    follower.look()
    update = follower.look()
    assert (update.state, update.has_news) == (FollowState.FOLLOWED, False)


def test_an_unfinished_line_waits_for_its_newline(path: Path) -> None:
    record = lines(train_step(1, loss=2.0))
    append(path, lines(run_start()) + record[:40])
    follower = LogFollower(path)
    follower.look()
    assert signals(follower).loss.n == 0
    assert codes(follower) == []
    append(path, record[40:])
    follower.look()
    assert (signals(follower).loss.n, codes(follower)) == (1, [])


def test_an_unfinished_line_counts_where_the_file_is_over(path: Path) -> None:
    append(path, lines(run_start(), train_step(1, loss=2.0))[:-1])
    follower = LogFollower(path)
    follower.look()
    assert signals(follower).loss.n == 0
    found = follower.findings(whole=True)
    assert found is not None
    assert (found.signals.loss.n, found.issues) == (1, ())


def test_a_torn_line_that_a_new_writer_leaves_behind_is_an_issue(path: Path) -> None:
    append(path, lines(run_start(), train_step(1, loss=2.0))[:-30])
    follower = LogFollower(path)
    follower.look()
    assert codes(follower, whole=True) == ["torn_line"]
    with TelemetryWriter(path, run_id="r") as writer:
        writer.run_start({}, {"resumed_from_step": 0})
        writer.train_step(1, loss=1.0)
    follower.look()
    assert codes(follower) == ["not_json"]
    assert signals(follower).loss.last == 1.0


def test_a_resumed_run_goes_on(path: Path) -> None:
    append(path, lines(run_start(), train_step(1, loss=3.0), train_step(2, loss=2.0)))
    follower = LogFollower(path)
    follower.look()
    append(path, lines(resume(1), train_step(2, loss=1.5), run_end()))
    assert not follower.look().restarted
    found = signals(follower)
    assert (found.run.n_resumes, found.loss.n, found.loss.last) == (1, 2, 1.5)
    assert found.run.outcome is Outcome.OK


def test_a_truncated_file_begins_anew(path: Path) -> None:
    append(path, lines(run_start(), train_step(1, loss=3.0), train_step(2, loss=2.0)))
    follower = LogFollower(path)
    follower.look()
    path.write_bytes(lines(run_start("other")))
    update = follower.look()
    assert (update.restarted, update.has_news) == (True, True)
    assert update.reason.startswith("truncated from ")
    assert (signals(follower).run.run_id, signals(follower).loss.n) == ("other", 0)


def test_an_emptied_file_is_waited_for_again(path: Path) -> None:
    append(path, lines(run_start()))
    follower = LogFollower(path)
    follower.look()
    path.write_bytes(b"")
    update = follower.look()
    assert (update.state, update.restarted) == (FollowState.WAITING, True)
    assert follower.findings() is None
    later = follower.look()
    assert (later.state, later.reason) == (FollowState.WAITING, "")


def test_a_vanished_file_keeps_what_was_read(path: Path) -> None:
    append(path, lines(run_start(), train_step(1, loss=3.0)))
    follower = LogFollower(path)
    follower.look()
    path.unlink()
    assert follower.look() == (FollowState.GONE, False, False, "", False, None)
    assert signals(follower).loss.last == 3.0
    append(path, lines(run_start("new"), train_step(1, loss=1.0)))
    update = follower.look()
    assert (update.restarted, update.reason) == (True, "replaced by another file")
    assert signals(follower).loss.last == 1.0


def test_a_folder_of_that_name_is_unreadable(path: Path) -> None:
    path.mkdir()
    update = LogFollower(path).look()
    assert (update.state, update.reason) == (FollowState.UNREADABLE, "Is a directory")


def test_many_events_are_read_in_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_tail, "FOLD_EVENTS", 7)
    monkeypatch.setattr(telemetry_tail, "BATCH_EVENTS", 10)
    append(path, lines(run_start(), *(train_step(n, loss=1 / n) for n in range(1, 100))))
    follower = LogFollower(path, read_bytes=1000)
    looks = 1
    while follower.look().has_more:
        looks += 1
    assert looks > 5
    assert (signals(follower).loss.n, signals(follower).loss.last) == (99, 1 / 99)


def test_a_line_that_is_too_long_is_skipped_in_pieces(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry_tail, "MAX_LINE_BYTES", 1000)
    follower = LogFollower(path)
    append(path, lines(run_start()) + b"x" * 1100)
    follower.look()
    assert codes(follower, whole=True) == ["line_too_long"]
    append(path, b"y" * 1100)
    follower.look()
    append(path, b"z\n" + lines(train_step(1, loss=1.0)) + b"x" * 999)
    follower.look()
    append(path, b"xxx\n" + lines(train_step(2, loss=2.0)))
    follower.look()
    found = follower.findings()
    assert found is not None
    assert [(issue.code, issue.line, issue.count) for issue in found.issues] == [
        ("line_too_long", 2, 2)
    ]
    assert (found.signals.loss.n, found.signals.loss.last) == (2, 2.0)


def test_strangers_first_are_issues_and_too_many_are_refused(path: Path) -> None:
    few, many = LogFollower(path), LogFollower(path.with_suffix(".many"))
    append(few.path, b"hello\n" * 99 + lines(run_start()))
    append(many.path, b"hello\n" * 100 + lines(run_start()))
    assert few.look().state is FollowState.FOLLOWED
    assert codes(few) == ["not_json"]
    update = many.look()
    assert update.state is FollowState.WAITING
    assert "expected telemetry of schema" in update.reason
    assert many.findings(whole=True) is None


def rows(count: int) -> bytes:
    found = [
        {"current_steps": n, "total_steps": 9, "loss": 1 / n, "lr": 1e-4, "epoch": n / 9}
        for n in range(1, count + 1)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in found)


class Clock:
    """A clock that each reading moves on."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now = 0.0
        self._step = step_s

    def __call__(self) -> float:
        """The time, a step later than before."""
        self.now += self._step
        return self.now


def test_a_log_of_another_tool_is_read_again_where_it_changed(path: Path) -> None:
    follower = LogFollower(path, clock=Clock())
    append(path, rows(2))
    update = follower.look()
    assert (update.state, update.has_news) == (FollowState.FOLLOWED, True)
    assert signals(follower).loss.n == 2
    assert not follower.look().has_news
    append(path, rows(5)[len(rows(2)) :])
    assert follower.look().has_news
    assert (signals(follower).loss.n, signals(follower).run.last_step) == (5, 5)


def test_reading_again_takes_a_tenth_of_the_time(path: Path) -> None:
    clock = Clock(1.0)
    follower = LogFollower(path, clock=clock)
    append(path, rows(2))
    assert follower.look().has_news
    append(path, rows(3)[len(rows(2)) :])
    assert not follower.look().has_news
    clock.now += 20
    assert follower.look().has_news
    assert signals(follower).loss.n == 3


def state(steps: int) -> str:
    history = [{"step": n, "loss": 1 / n, "learning_rate": 1e-4} for n in range(1, steps + 1)]
    return json.dumps({"log_history": history, "global_step": steps, "max_steps": 9}, indent=1)


def test_a_trainer_state_that_is_written_anew_is_no_restart(path: Path) -> None:
    follower = LogFollower(path, clock=Clock())
    path.write_text(state(2))
    follower.look()
    assert signals(follower).loss.n == 2
    path.write_text(state(4))
    update = follower.look()
    assert (update.has_news, update.restarted) == (True, False)
    assert signals(follower).loss.n == 4


def test_half_a_document_keeps_what_was_read(path: Path) -> None:
    follower = LogFollower(path, clock=Clock())
    path.write_text(state(2))
    follower.look()
    path.write_text(state(4)[:-40])
    update = follower.look()
    assert (update.state, update.has_news) == (FollowState.FOLLOWED, False)
    assert signals(follower).loss.n == 2
    append(path, state(4)[-40:].encode())
    assert follower.look().has_news
    assert signals(follower).loss.n == 4


def test_telemetry_takes_the_place_of_another_log(path: Path) -> None:
    follower = LogFollower(path, clock=Clock())
    append(path, rows(2))
    follower.look()
    path.write_bytes(lines(run_start(), evaluation("test", loss=1.0), train_step(1, loss=math.nan)))
    assert follower.look().has_news
    assert (signals(follower).evals.n_evals, signals(follower).loss.n) == (1, 0)


def test_bare_nan_tokens_are_read(path: Path) -> None:
    append(path, line("run_start", config={}) + b"\n" + line("train_step", loss=math.nan) + b"\n")
    follower = LogFollower(path)
    follower.look()
    assert [found.count for found in signals(follower).nonfinite.counts] == [1]


@pytest.mark.parametrize("name", ["fixture_vnext_minimal.jsonl"])
def test_a_real_file_reads_as_the_reader_reads_it(name: str, path: Path) -> None:
    shutil.copy(DATA / "gradience" / name, path)
    follower = LogFollower(path, read_bytes=100)
    while follower.look().has_more:
        pass
    reader = TelemetryReader(path)
    found = follower.findings(whole=True)
    assert found is not None
    assert found.signals.loss == run_signals(reader.iter_batches()).loss
    assert found.issues == reader.validate()


def test_the_status_of_a_run_that_ended_badly(path: Path) -> None:
    append(path, lines(run_start(), run_end(RunStatus.ERROR, "OutOfMemoryError")))
    follower = LogFollower(path)
    follower.look()
    assert signals(follower).run.outcome is Outcome.ERROR
