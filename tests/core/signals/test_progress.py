"""How far a run is, how fast it goes and when it will be done; and what is not known."""

import math
from collections.abc import Mapping

import msgspec
import pytest

from gradience.core.config.snapshot import ConfigSnapshot, TrainingSnapshot
from gradience.core.signals.analyzer import fold
from gradience.core.signals.progress import ProgressSignal, training_progress
from gradience.core.telemetry.events import AnyEvent, RunStart, TrainStep
from tests.core.telemetry.sample_events import (
    batch,
    evaluation,
    metrics,
    run_end,
    run_start,
    train_step,
)

NOTHING: Mapping[str, object] = {}


def progress(*events: AnyEvent) -> ProgressSignal:
    return fold(training_progress(), [batch(*events)])


def at(event: AnyEvent, ts: float) -> AnyEvent:
    return msgspec.structs.replace(event, ts=ts)


def started(meta: Mapping[str, object] = NOTHING, **training: object) -> RunStart:
    config = ConfigSnapshot(training=msgspec.convert(training, TrainingSnapshot))
    return msgspec.structs.replace(run_start(config=config), meta=meta)


def steps(first: int, last: int, ts: float, seconds: float = 2.0) -> list[AnyEvent]:
    """Every tenth step, ``seconds`` each."""
    return [
        at(train_step(step, loss=1.0), ts + (step - first) * seconds)
        for step in range(first, last + 1, 10)
    ]


def epochs(step: int, epoch: float) -> TrainStep:
    return msgspec.structs.replace(train_step(step), epoch=epoch)


def test_a_timed_run_tells_speed_fraction_and_time_left() -> None:
    found = progress(started(max_steps=200), *steps(10, 100, ts=1000.0))
    assert (found.step, found.total_steps, found.total_from) == (100, 200, "max_steps")
    assert (found.fraction, found.steps_per_s, found.speed_from) == (0.5, 0.5, "time stamps")
    assert (found.eta_s, found.reason, found.last_ts) == (200.0, None, 1180.0)


def test_evaluations_are_no_part_of_the_speed_but_of_the_time_left() -> None:
    events = [*steps(10, 50, ts=0.0), at(evaluation("eval", 50, loss=1.0), 120.0)]
    found = progress(started(max_steps=100), *events, *steps(60, 100, ts=140.0))
    assert (found.steps_per_s, found.evaluation_s) == (0.5, 40.0)
    assert found.overall_steps_per_s == pytest.approx(90 / 220)
    assert found.eta_s == 0.0
    halfway = progress(started(max_steps=90), *events)
    assert halfway.eta_s == 40 * (2.0 + 40.0 / 40)


def test_the_time_before_a_resume_is_no_part_of_any_speed() -> None:
    again = started({"resumed_from_step": 50}, max_steps=200)
    events = [started(max_steps=200), *steps(10, 50, ts=0.0), at(again, 1e6)]
    found = progress(*events, *steps(60, 100, ts=1e6 + 5))
    assert (found.steps_per_s, found.overall_steps_per_s) == (0.5, 0.5)


def test_of_late_counts_for_the_speed_not_the_start() -> None:
    slow, fast = steps(10, 100, ts=0.0, seconds=50.0), steps(110, 600, ts=5000.0)
    found = progress(started(), *slow, *fast)
    assert found.steps_per_s == 0.5
    assert found.overall_steps_per_s is not None
    assert found.overall_steps_per_s < 0.2


def test_without_a_clock_time_stamps_say_nothing() -> None:
    found = progress(started({"clock": "none"}, max_steps=200), *steps(10, 100, ts=0.0))
    assert (found.steps_per_s, found.eta_s, found.last_ts) == (None, None, None)
    assert found.reason == "the record tells no time"


@pytest.mark.parametrize(
    ("extras", "rate"),
    [({"train_speed(iter/s)": 0.5}, 0.5), ({"train_speed(s/it)": 4.0}, 0.25)],
)
def test_a_logged_speed_stands_in_for_the_clock(extras: dict[str, object], rate: float) -> None:
    step = train_step(50, extras=extras)
    found = progress(started({"clock": "none"}, max_steps=100), step)
    assert (found.steps_per_s, found.eta_s) == (rate, 50 / rate)
    assert found.speed_from in extras


def test_the_closing_summary_tells_the_speed_of_a_run_without_a_clock() -> None:
    summary = metrics(
        "train_summary", {"train_steps_per_second": 2.0, "train_samples_per_second": 16.0}
    )
    found = progress(started({"clock": "none"}, max_steps=100), train_step(100), summary)
    assert (found.overall_steps_per_s, found.samples_per_s) == (2.0, 16.0)
    assert found.samples_from == "train_samples_per_second"
    other = metrics("lora_audit", {"train_steps_per_second": 2.0})
    assert progress(started({"clock": "none"}), train_step(1), other).steps_per_s is None


def test_planned_steps_come_from_the_log_or_from_the_epochs() -> None:
    logged = progress(started(max_steps=-1), train_step(10, extras={"total_steps": 80}))
    assert (logged.total_steps, logged.total_from) == (80, "total_steps")
    found = progress(started(epochs=3.0), epochs(50, 0.5))
    assert (found.total_steps, found.total_from, found.epoch) == (300, "epochs", 0.5)
    assert progress(started(epochs=3.0), epochs(0, 0.0)).total_steps is None


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "the number of planned steps is not known"),
        ([started(max_steps=9)], "no training step was logged"),
        ([started(max_steps=9), train_step(1)], "too few timed steps"),
        ([started(max_steps=99), *steps(10, 50, ts=0.0), run_end()], "the run has ended"),
    ],
)
def test_no_time_left_is_a_result_with_a_reason(events: list[AnyEvent], reason: str) -> None:
    found = progress(*events)
    assert (found.eta_s, found.reason) == (None, reason)


def test_a_run_beyond_its_plan_has_no_time_left() -> None:
    found = progress(started(max_steps=20), *steps(10, 60, ts=0.0))
    assert (found.fraction, found.eta_s) == (1.0, 0.0)


def test_samples_are_worked_out_and_say_what_is_assumed() -> None:
    timed = steps(10, 50, ts=0.0)
    start = started(batch_size=4, gradient_accumulation=8, extras={"world_size": 2})
    found = progress(start, *timed)
    assert (found.samples_per_s, found.samples_from) == (32.0, "batch 4 x accumulation 8 x 2")
    found = progress(started(batch_size=4), *timed)
    assert found.samples_per_s == 2.0
    assert "one device assumed" in (found.samples_from or "")
    assert "no accumulation assumed" in (found.samples_from or "")


def test_tokens_come_from_a_running_count() -> None:
    events = [
        msgspec.structs.replace(event, extras={"num_tokens": 1000.0 * place})
        for place, event in enumerate(steps(10, 60, ts=0.0))
        if isinstance(event, TrainStep)
    ]
    found = progress(started(), *events)
    assert (found.tokens_per_s, found.tokens_from) == (50.0, "num_tokens")
    restarted = msgspec.structs.replace(events[0], step=70, extras={"num_tokens": 5.0})
    assert progress(started(), *events, restarted).tokens_per_s is None


def test_a_logged_token_rate_is_taken_as_it_is() -> None:
    found = progress(started(), train_step(1, extras={"throughput": 123.0}))
    assert (found.tokens_per_s, found.tokens_from) == (123.0, "throughput")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 0.0, "fast", True])
def test_a_speed_that_is_none_is_not_taken(bad: object) -> None:
    found = progress(started(), train_step(1, extras={"throughput": bad, "total_steps": bad}))
    assert (found.tokens_per_s, found.total_steps) == (None, None)


def test_repeated_and_backward_rows_are_no_interval() -> None:
    timed = steps(10, 50, ts=0.0)
    found = progress(started(), *timed, at(train_step(50), 500.0), at(train_step(20), 600.0))
    assert (found.steps_per_s, found.step) == (0.5, 20)
