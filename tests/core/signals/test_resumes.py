"""A stream is cut where its run goes on from a checkpoint."""

from gradience.core.signals.resumes import segments
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, resume, run_start, train_step


def cuts(*events: AnyEvent) -> list[tuple[int | None, int, int]]:
    return [(step, part.start, part.stop) for step, part in segments(batch(*events))]


def test_a_stream_without_a_resume_is_one_part() -> None:
    assert cuts(run_start(), train_step()) == [(None, 0, 2)]
    assert cuts() == [(None, 0, 0)]


def test_every_resume_begins_a_part() -> None:
    found = cuts(run_start(), train_step(), resume(1), train_step(), resume(0))
    assert found == [(None, 0, 2), (1, 2, 4), (0, 4, 5)]


def test_a_resume_at_the_beginning_has_nothing_before_it() -> None:
    assert cuts(resume(7), train_step()) == [(7, 0, 2)]
    assert cuts(resume(7), resume(8)) == [(7, 0, 1), (8, 1, 2)]
