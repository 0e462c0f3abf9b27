"""Throughput: a run that has become slow for good."""

import msgspec
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.throughput_drop import (
    ThroughputDropPolicy,
    find_throughput_drop,
)
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, run_start, train_step


def timed(*seconds: float) -> list[AnyEvent]:
    """Every tenth step, so many seconds after the one before."""
    ts, events = 0.0, []
    for row, passed in enumerate(seconds, 1):
        ts += passed
        events.append(msgspec.structs.replace(train_step(10 * row, loss=1.0), ts=ts))
    return [*events]


def alerts(*events: AnyEvent) -> list[MonitorAlert]:
    return [*find_throughput_drop(run_signals([batch(*events)]))]


def test_a_lasting_loss_of_speed_is_an_info_with_the_numbers() -> None:
    (alert,) = alerts(*timed(*[10.0] * 40, *[25.0] * 20))
    assert (alert.severity, alert.code) == (Severity.INFO, "throughput_drop")
    assert alert.message.startswith("a step takes 2.5 s since step 410, 1 s before")
    assert alert.series[0].value[-1] == 2.5


@pytest.mark.parametrize(
    "seconds",
    [
        [10.0] * 60,
        [10.0] * 40 + [19.0] * 20,
        [10.0] * 50 + [500.0] * 5 + [10.0] * 5,
        [25.0] * 40 + [10.0] * 20,
        [10.0] * 10 + [30.0] * 20,
        [0.0] * 60,
    ],
    ids=["steady", "a little", "pauses", "faster", "too short", "no time"],
)
def test_other_runs_are_none(seconds: list[float]) -> None:
    assert alerts(*timed(*seconds)) == []


def test_without_a_clock_nothing_is_said() -> None:
    start = msgspec.structs.replace(run_start(), meta={"clock": "none"})
    assert alerts(start, *timed(*[10.0] * 40, *[25.0] * 20)) == []


def test_of_several_clocks_in_one_log_nothing_is_said() -> None:
    slow = timed(*[10.0] * 40, *[25.0] * 20)
    assert alerts(*slow[:30], train_step(5), *slow[30:]) == []


def test_the_thresholds_are_the_policys() -> None:
    signals = run_signals([batch(*timed(*[10.0] * 40, *[25.0] * 20))])
    assert [*find_throughput_drop(signals, ThroughputDropPolicy(factor=3.0))] == []
