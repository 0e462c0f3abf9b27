"""Whose run it is, how far it came and how it ended."""

import math

import msgspec
import pytest

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.signals import run_status as module
from gradience.core.signals.analyzer import fold
from gradience.core.signals.run_status import Outcome, RunSignal, run_status
from gradience.core.telemetry.events import AnyEvent, RunStatus
from tests.core.telemetry.sample_events import (
    batch,
    evaluation,
    resume,
    run_end,
    run_start,
    train_step,
    unknown,
)


def signal(*events: AnyEvent) -> RunSignal:
    return fold(run_status(), [batch(*events)])


@pytest.mark.parametrize("status", list(RunStatus))
def test_the_outcome_is_that_of_run_end(status: RunStatus) -> None:
    found = signal(run_start(), run_end(status, "why"))
    assert (found.outcome.value, found.reason) == (status.value, "why")


def test_a_run_without_an_end_is_unfinished() -> None:
    assert signal(run_start(), train_step()).outcome is Outcome.UNFINISHED


def test_a_resume_takes_the_end_back_and_renews_the_config() -> None:
    config = ConfigSnapshot(model_name="m")
    found = signal(run_start(), run_end(RunStatus.ABORTED, "why"), run_start(config=config))
    assert (found.outcome, found.reason, found.config) == (Outcome.UNFINISHED, None, config)


def test_events_are_counted_by_name() -> None:
    found = signal(run_start(), train_step(), train_step(), evaluation("t"), unknown("news"))
    assert found.events == {"eval": 1, "news": 1, "run_start": 1, "train_step": 2}


def test_the_extent_is_that_of_all_events_with_a_step() -> None:
    found = signal(train_step(5), train_step(None), train_step(3), evaluation("t", 8))
    assert (found.first_step, found.last_step) == (3, 8)


def test_the_duration_is_from_the_first_to_the_last_finite_stamp() -> None:
    odd = msgspec.structs.replace(train_step(), ts=math.nan)
    assert signal(train_step(), odd, run_end()).duration_s == 8.0
    assert signal(odd).duration_s is None


def test_a_run_without_a_start_is_named_by_its_first_training_step() -> None:
    other = msgspec.structs.replace(train_step(2), run_id="b")
    assert signal(train_step(None), other).run_id == "r"


def test_any_record_names_the_run_until_a_start_says_otherwise() -> None:
    assert signal(evaluation("t"), train_step()).run_id == "r"
    assert signal(unknown("news")).run_id == "r"
    assert signal(evaluation("t"), run_start("b")).run_id == "b"


def test_records_of_other_runs_are_counted() -> None:
    other = msgspec.structs.replace(train_step(2), run_id="b")
    found = signal(run_start(), train_step(), other, evaluation("t"), other)
    assert (found.run_id, found.foreign_records) == ("r", 2)
    assert signal(train_step(), run_start("b"), other, run_end()).foreign_records == 1


def test_an_empty_stream_has_no_run() -> None:
    assert fold(run_status(), []) == RunSignal()


def test_the_end_of_another_run_is_not_this_ones() -> None:
    other = msgspec.structs.replace(run_end(RunStatus.ERROR, "theirs"), run_id="another")
    found = signal(run_start(), other)
    assert (found.outcome, found.reason, found.foreign_records) == (Outcome.UNFINISHED, None, 1)


def test_a_resume_is_named_with_the_steps_that_come_again() -> None:
    found = signal(run_start(), train_step(20), train_step(30), resume(20), train_step(30))
    assert (found.n_resumes, found.resumed_from_steps, found.repeated_steps) == (1, (20,), 10)
    assert (found.first_step, found.last_step) == (20, 30)


def test_the_extent_is_that_of_the_resumed_lineage() -> None:
    found = signal(run_start(), train_step(50), resume(20), train_step(21), resume(20))
    assert (found.last_step, found.resumed_from_steps, found.repeated_steps) == (20, (20, 20), 31)


def test_a_resume_from_beyond_the_record_repeats_nothing() -> None:
    found = signal(run_start(), train_step(5), resume(20))
    assert (found.n_resumes, found.repeated_steps, found.last_step) == (1, 0, 5)
    assert (signal(resume(20)).n_resumes, signal(resume(20)).last_step) == (1, None)


@pytest.mark.parametrize("step", [True, -1, 2**63, 7.5, "7", None])
def test_a_step_that_is_none_resumes_nothing(step: object) -> None:
    odd = msgspec.structs.replace(run_start(), meta={"resumed_from_step": step})
    assert signal(run_start(), train_step(5), odd).n_resumes == 0


def test_the_latest_resumes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RESUMES_KEPT", 2)
    found = signal(resume(1), resume(2), resume(3))
    assert (found.n_resumes, found.resumed_from_steps) == (3, (2, 3))


def test_the_duration_leaves_out_the_time_before_a_resume() -> None:
    late = [msgspec.structs.replace(event, ts=1000.0) for event in (resume(1), train_step(2))]
    last = msgspec.structs.replace(train_step(3), ts=1004.0)
    assert signal(run_start(), evaluation("t"), *late, last).duration_s == 1.0 + 4.0
