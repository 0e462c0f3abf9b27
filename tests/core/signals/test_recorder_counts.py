"""What the recorder counted beside its events."""

import msgspec
import pytest

from gradience.core.signals.analyzer import fold
from gradience.core.signals.recorder_counts import (
    MAX_COUNT,
    RecorderCounts,
    StepCount,
    recorder_counts,
)
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import (
    batch,
    evaluation,
    resume,
    run_start,
    train_step,
    unknown,
)


def counts(*events: AnyEvent) -> RecorderCounts:
    return fold(recorder_counts(), [batch(*events)])


def test_a_run_without_counts_has_none() -> None:
    assert counts(run_start(), train_step(), evaluation("t")) == RecorderCounts()


def test_lost_events_are_summed_over_events_of_every_kind() -> None:
    late = msgspec.structs.replace(evaluation("t", 7), extras={"dropped_events": 2})
    news = msgspec.structs.replace(unknown(), step=9, payload={"dropped_events": 4})
    found = counts(train_step(3, extras={"dropped_events": 1}), late, train_step(8), news)
    assert found.dropped_events == StepCount(count=7, first_step=3, last_step=9)


def test_the_first_in_the_stream_is_the_first() -> None:
    early = msgspec.structs.replace(evaluation("t", 1), extras={"dropped_events": 2})
    found = counts(early, train_step(3, extras={"dropped_events": 1}))
    assert found.dropped_events == StepCount(count=3, first_step=1, last_step=3)


def test_steps_with_nonfinite_gradients_and_parameters_are_summed() -> None:
    found = counts(
        train_step(10, extras={"nonfinite_grad_steps": 0, "nonfinite_param_steps": 0}),
        train_step(20, extras={"nonfinite_grad_steps": 3, "nonfinite_param_steps": 1}),
        train_step(30, extras={"nonfinite_grad_steps": 4}),
    )
    assert found.nonfinite_grad_steps == StepCount(count=7, first_step=20, last_step=30)
    assert found.nonfinite_param_steps == StepCount(count=1, first_step=20, last_step=20)


def test_what_was_seen_stands_after_a_resume() -> None:
    bad = train_step(20, extras={"nonfinite_param_steps": 1})
    assert counts(bad, resume(10), train_step(20)).nonfinite_param_steps.count == 1


@pytest.mark.parametrize("value", [True, -1, 0, 1.5, "2", None, [1]])
def test_what_is_no_count_counts_nothing(value: object) -> None:
    keys = ("dropped_events", "nonfinite_grad_steps", "nonfinite_param_steps")
    assert counts(train_step(extras=dict.fromkeys(keys, value))) == RecorderCounts()


def test_counts_stay_within_what_json_parsers_read() -> None:
    huge = train_step(extras={"dropped_events": 10**30})
    assert counts(huge, huge).dropped_events.count == MAX_COUNT
