"""Telemetry in pieces of bytes: whole lines are read, and folded in batches."""

import pytest

from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent
from gradience.shell.telemetry import telemetry_tail
from gradience.shell.telemetry.telemetry_tail import EventFold, TelemetryTail
from tests.core.telemetry.sample_events import batch, evaluation, resume, run_start, train_step


def events(count: int) -> list[AnyEvent]:
    steps: list[AnyEvent] = [train_step(n, loss=1 / n, lr=1e-4) for n in range(1, count)]
    return [run_start(), *steps, evaluation("test", count, loss=1.0), resume(count // 2)]


@pytest.mark.parametrize("count", [1, 2, 255, 256, 300, 600])
def test_one_by_one_is_as_all_at_once(count: int) -> None:
    fold = EventFold()
    for event in events(count):
        fold.add(event)
    assert repr(fold.signals()) == repr(run_signals([batch(*events(count))]))
    assert fold.n_events == len(events(count))


def test_many_at_once_are_cut_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_tail, "BATCH_EVENTS", 50)
    monkeypatch.setattr(telemetry_tail, "FOLD_EVENTS", 20)
    fold = EventFold()
    fold.add(*events(333))
    assert fold.signals().loss.n == run_signals([batch(*events(333))]).loss.n


def test_a_look_ahead_changes_nothing() -> None:
    fold = EventFold()
    fold.add(run_start())
    assert fold.signals(train_step(1, loss=2.0)).loss.n == 1
    assert (fold.signals().loss.n, fold.n_events) == (0, 1)


def test_a_result_does_not_change_with_what_comes_later() -> None:
    fold = EventFold()
    fold.add(run_start(), train_step(1, loss=2.0))
    before = fold.signals()
    shown = repr(before)
    fold.add(*events(400)[1:])
    assert repr(before) == shown


def test_no_bytes_are_no_telemetry() -> None:
    tail = TelemetryTail()
    tail.feed(b"")
    assert not tail.is_telemetry(whole=True)
    assert (tail.n_events, tail.issues(whole=True), tail.is_refused) == (0, (), False)


def test_lines_are_numbered_across_pieces() -> None:
    tail = TelemetryTail()
    for piece in (b"\n", encode_event(run_start()), b"\n\nno", b" json\n", b"[]\n"):
        tail.feed(piece)
    assert [(issue.line, issue.code) for issue in tail.issues()] == [
        (4, "not_json"),
        (5, "not_object"),
    ]


def test_white_space_at_the_end_is_no_torn_line() -> None:
    tail = TelemetryTail()
    tail.feed(encode_event(run_start()) + b"\n   ")
    assert tail.issues(whole=True) == ()


def test_a_torn_line_is_told_of_a_file_that_is_over() -> None:
    tail = TelemetryTail()
    tail.feed(encode_event(run_start()) + b'\n{"schema"')
    assert tail.issues() == ()
    (issue,) = tail.issues(whole=True)
    assert (issue.code, issue.line) == ("torn_line", 2)
    assert issue.message.startswith("the last line is cut off after 9 bytes")
