"""Discontinuity: jumps of the learning rate or of the step count, and what explains them."""

from collections.abc import Sequence

import pytest

from gradience.core.config.snapshot import ConfigSnapshot, TrainingSnapshot
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.lr_discontinuity import (
    LrDiscontinuityPolicy,
    find_lr_discontinuity,
)
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.monitoring.conditions.eval_runs import lr_run
from tests.core.monitoring.conditions.test_lr_moves import SCHEDULES, WARM_UP
from tests.core.telemetry.sample_events import batch, resume, run_start, train_step

LINEAR = SCHEDULES["linear"]
COSINES = SCHEDULES["cosine"][WARM_UP:] * 2


def alerts(*events: AnyEvent) -> list[MonitorAlert]:
    return [*find_lr_discontinuity(run_signals([batch(*events)]))]


def logged(steps: Sequence[int], rates: Sequence[float]) -> list[AnyEvent]:
    return [train_step(s, lr=rate, loss=1.0) for s, rate in zip(steps, rates, strict=True)]


def test_a_jump_of_the_rate_is_a_warning_with_the_numbers() -> None:
    rates = [*LINEAR[:30], *(2 * rate for rate in LINEAR[30:])]
    (alert,) = find_lr_discontinuity(lr_run(rates))
    assert (alert.severity, alert.code) == (Severity.WARNING, "lr_discontinuity")
    assert (alert.first_step, alert.last_step) == (310, 310)
    assert "between steps 300 and 310, which its schedule does not explain" in alert.message
    assert alert.context["lr_jumps"] == 1
    assert [series.name for series in alert.series] == ["lr"]
    assert 310 in alert.series[0].step


def test_the_largest_of_several_jumps_is_named() -> None:
    rates = [*LINEAR[:20], *(2 * r for r in LINEAR[20:40]), *(5 * r for r in LINEAR[40:])]
    (alert,) = find_lr_discontinuity(lr_run(rates))
    assert "the largest of 2 jumps" in alert.message
    assert (alert.first_step, alert.last_step) == (210, 410)


def test_steps_that_go_backward_are_a_warning() -> None:
    (alert,) = alerts(*logged([10, 20, 30, 15, 25, 35], [1e-4] * 6))
    assert alert.severity is Severity.WARNING
    assert "goes backward once, first from 30 to 15: a resume or restart" in alert.message
    assert alert.context["backward_steps"] == 1
    several = logged([10, 20, 10, 20, 10, 20], [1e-4] * 6)
    assert "2 times, first from 20 to 10: resumes or restarts" in alerts(*several)[0].message


def test_repeated_steps_are_none() -> None:
    steps = [step for step in range(10, 200, 10) for _ in range(2)]
    assert alerts(*logged(steps, [1e-4] * len(steps))) == []


def test_a_declared_resume_on_which_the_rate_goes_on_is_none() -> None:
    steps = range(10, 610, 10)
    before, after = logged(steps[:35], LINEAR[:35]), logged(steps[30:], LINEAR[30:])
    assert alerts(run_start(), *before, resume(300), *after) == []
    (alert,) = alerts(run_start(), *before, *after)
    assert alert.context["backward_steps"] == 1


def test_a_declared_resume_with_a_new_schedule_is_told_as_one() -> None:
    steps = range(10, 610, 10)
    after = logged(steps[30:], [3 * rate for rate in LINEAR[30:]])
    (alert,) = alerts(run_start(), *logged(steps[:35], LINEAR[:35]), resume(300), *after)
    assert alert.severity is Severity.WARNING
    assert "at the resume from step 300: its schedule was created anew" in alert.message


def test_cycles_are_an_info_and_nothing_where_the_configuration_names_them() -> None:
    (alert,) = find_lr_discontinuity(lr_run(COSINES))
    assert alert.severity is Severity.INFO
    assert "a schedule with restarts" in alert.message
    training = TrainingSnapshot(extras={"lr_scheduler_type": "cosine_with_restarts"})
    named = lr_run(COSINES, config=ConfigSnapshot(training=training))
    assert [*find_lr_discontinuity(named)] == []
    relora = lr_run(COSINES, config=ConfigSnapshot(extras={"finetuning": "relora"}))
    assert [*find_lr_discontinuity(relora)] == []


def test_a_rate_that_follows_no_schedule_is_an_info() -> None:
    growing = [rate for turn in range(12) for rate in (1e-4, 1e-4, 1e-4, (2 + turn) * 1e-4)]
    (alert,) = find_lr_discontinuity(lr_run(growing))
    assert alert.severity is Severity.INFO
    assert "follows no schedule" in alert.message


def test_few_rows_are_no_warning() -> None:
    (alert,) = find_lr_discontinuity(lr_run([5e-4, 4e-4, 3e-4, 5e-4, 4e-4, 3e-4]))
    assert alert.severity is Severity.INFO


def test_missing_steps_are_an_info() -> None:
    steps = [*range(10, 110, 10), *range(1000, 1100, 10)]
    (alert,) = alerts(*logged(steps, [1e-4] * len(steps)))
    assert (alert.severity, alert.first_step) == (Severity.INFO, 1000)
    assert alert.message == "no step was logged between 100 and 1000"


@pytest.mark.parametrize("steps", [[1, *range(500, 5000, 500)], [10, 20, 900], []])
def test_a_first_row_logged_early_and_short_logs_are_none(steps: list[int]) -> None:
    assert alerts(*logged(steps, [1e-4] * len(steps))) == []


def test_rows_without_a_step_are_left_out() -> None:
    rows = [train_step(None, lr=1e-4) for _ in range(5)]
    assert alerts(*rows, *logged(range(10, 100, 10), [1e-4] * 9)) == []


def test_the_thresholds_are_the_policys() -> None:
    steps = [*range(10, 110, 10), *range(1000, 1100, 10)]
    signals = run_signals([batch(*logged(steps, [1e-4] * len(steps)))])
    assert [*find_lr_discontinuity(signals, LrDiscontinuityPolicy(gap=1e3))] == []
