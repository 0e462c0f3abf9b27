"""How long steps and evaluations take."""

import math

import msgspec
import pytest

from gradience.core.signals.step_timing import RECENT, Mark, StepTiming, interrupted, timed
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, train_step


def at(event: AnyEvent, ts: float) -> AnyEvent:
    return msgspec.structs.replace(event, ts=ts)


def test_intervals_are_of_training_or_of_evaluating() -> None:
    found = timed(
        StepTiming(),
        batch(
            at(train_step(10), 0.0),
            at(train_step(20), 20.0),
            at(evaluation("eval", 20), 50.0),
            at(evaluation("test", 20), 60.0),
            at(train_step(30), 80.0),
        ),
    )
    assert found == StepTiming(
        mark=Mark(30, 80.0), recent=(2.0, 2.0), active_s=80.0, active_steps=20, evaluation_s=40.0
    )


def test_an_evaluation_beyond_the_last_logged_step_tells_no_speed() -> None:
    found = timed(StepTiming(), batch(at(train_step(10), 0.0), at(evaluation("eval", 15), 50.0)))
    assert (found.recent, found.evaluation_s, found.active_steps) == ((), 0.0, 5)


@pytest.mark.parametrize(
    ("step", "ts"), [(10, 5.0), (5, 5.0), (20, 0.0), (20, -1.0), (20, math.nan), (None, 5.0)]
)
def test_what_does_not_go_forward_is_no_training(step: int | None, ts: float) -> None:
    found = timed(StepTiming(), batch(at(train_step(10), 0.0), at(train_step(step), ts)))
    assert (found.recent, found.active_steps) == ((), 0)


def test_only_the_recent_intervals_are_kept() -> None:
    events = [at(train_step(row), 2.0 * row) for row in range(3 * RECENT)]
    assert timed(StepTiming(), batch(*events)).recent == (2.0,) * RECENT


def test_an_interruption_keeps_all_but_the_mark() -> None:
    before = timed(StepTiming(), batch(at(train_step(1), 0.0), at(train_step(2), 3.0)))
    after = timed(interrupted(before), batch(at(train_step(3), 1e6), at(train_step(4), 1e6 + 3)))
    assert (after.recent, after.active_s, after.active_steps) == ((3.0, 3.0), 6.0, 2)


def test_nothing_changes_nothing() -> None:
    assert timed(StepTiming(), batch()) == StepTiming()
