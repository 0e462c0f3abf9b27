"""Alerts: each rule at and beside its threshold, and its words."""

import math

import msgspec
import pytest

from gradience.core.monitoring.alerts import MonitorAlert, MonitorPolicy, find_alerts
from gradience.core.monitoring.gap import GapPolicy, perplexity_gap
from gradience.core.severity import Severity
from gradience.core.signals import lineage
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent, RunStatus
from tests.core.telemetry.sample_events import (
    alert,
    batch,
    evaluation,
    resume,
    run_end,
    run_start,
    train_step,
)


def alerts(*events: AnyEvent, policy: MonitorPolicy | None = None) -> dict[str, MonitorAlert]:
    policy = policy or MonitorPolicy()
    found = run_signals([batch(*events)])
    gap = perplexity_gap(found.evals, found.loss, policy.gap)
    return {entry.code: entry for entry in find_alerts(found, gap, policy)}


GAP_OF_1_5 = (
    run_start(),
    evaluation("train", 10, ppl=2.0),
    evaluation("test", 10, ppl=3.0),
    run_end(),
)


def test_a_healthy_run_has_no_alert() -> None:
    assert alerts(run_start(), train_step(loss=1.0), evaluation("test", loss=1.0), run_end()) == {}


def test_a_gap_at_the_threshold_is_none_and_above_it_is_one() -> None:
    lower = MonitorPolicy(gap=GapPolicy(threshold=1.4))
    assert alerts(*GAP_OF_1_5) == {}
    found = alerts(*GAP_OF_1_5, policy=lower)["memorization_gap"]
    assert (found.severity, found.first_step) == (Severity.WARNING, 10)
    assert "(test) is 1.5 x the training one, above 1.4" in found.message
    assert found.context["gap"] == 1.5


def test_an_estimated_gap_says_so() -> None:
    found = alerts(train_step(loss=1.0), evaluation("test", loss=2.0))["memorization_gap"]
    assert found.message.endswith("training side estimated")


@pytest.mark.parametrize(
    ("status", "code", "severity", "words"),
    [
        (RunStatus.ERROR, "run_error", Severity.ERROR, "ended with an error after step 9 (why)"),
        (RunStatus.ABORTED, "run_aborted", Severity.WARNING, "was aborted after step 9 (why)"),
    ],
)
def test_a_bad_end_is_an_alert(
    status: RunStatus, code: str, severity: Severity, words: str
) -> None:
    found = alerts(run_start(), train_step(3), run_end(status, "why"))[code]
    assert found.severity is severity
    assert words in found.message


def test_a_run_without_an_end_is_told_apart() -> None:
    found = alerts(run_start(), train_step(3))["run_unfinished"]
    assert "no run_end was written after step 3" in found.message


def test_several_runs_are_told() -> None:
    found = alerts(run_start("a"), run_start("b"), run_end())["several_runs"]
    assert "holds 2 runs; this report is of the last one" in found.message


def test_a_nonfinite_loss_is_an_error_with_its_steps() -> None:
    found = alerts(train_step(1, loss=1.0), train_step(2, loss=math.nan))["nonfinite_loss"]
    assert (found.severity, found.first_step, found.last_step) == (Severity.ERROR, 2, 2)
    assert found.message == ("training loss: 1 of 2 logged values NaN or infinite, first at step 2")


@pytest.mark.parametrize(
    ("bad", "good", "severity"),
    [
        (1, 0, Severity.INFO),
        (1, 1, Severity.INFO),
        (2, 3, Severity.WARNING),
        (2, 2, Severity.ERROR),
        (2, 0, Severity.ERROR),
    ],
)
def test_nonfinite_gradients_are_an_error_from_half_of_them_on(
    bad: int, good: int, severity: Severity
) -> None:
    steps = [train_step(1, loss=1.0, grad_norm=math.nan)] * bad
    steps += [train_step(2, loss=1.0, grad_norm=1.0)] * good
    found = alerts(*steps)["nonfinite_grad_norm"]
    assert found.severity is severity
    assert ("cannot be trusted" in str(found.context)) is (severity is Severity.ERROR)


def test_the_share_of_nonfinite_gradients_is_the_policys() -> None:
    steps = [train_step(1, grad_norm=math.nan)] * 2 + [train_step(2, grad_norm=1.0)] * 8
    found = alerts(*steps, policy=MonitorPolicy(nonfinite_grad_share=0.2))
    assert found["nonfinite_grad_norm"].severity is Severity.ERROR


def test_records_of_another_run_are_told() -> None:
    signals = run_signals([batch(run_start(), train_step(loss=1.0))])
    mixed = msgspec.structs.replace(signals.run, foreign_records=3)
    gap = perplexity_gap(signals.evals, signals.loss, GapPolicy())
    found = {a.code: a for a in find_alerts(signals._replace(run=mixed), gap, MonitorPolicy())}
    assert found["mixed_runs"].severity is Severity.WARNING
    assert found["mixed_runs"].context["foreign_records"] == 3
    assert "mixed_runs" not in alerts(run_start(), train_step(loss=1.0))


def test_a_nonfinite_gradient_beside_a_nonfinite_loss_is_a_warning() -> None:
    found = alerts(train_step(loss=math.nan, grad_norm=math.inf))
    assert found["nonfinite_grad_norm"].severity is Severity.WARNING


def test_other_nonfinite_numbers_are_named() -> None:
    found = alerts(train_step(extras={"kl": math.nan}), evaluation("test", loss=math.inf))
    assert found["nonfinite_metric"].message.startswith("kl: 1 logged values")
    assert found["nonfinite_eval"].message.startswith("eval test.loss: 1 logged values")


def test_an_alert_on_record_is_passed_on() -> None:
    found = alerts(alert("mine", Severity.CRITICAL, 5))["mine"]
    assert (found.severity, found.message, found.first_step) == (
        Severity.CRITICAL,
        "about mine",
        5,
    )


def test_a_resume_beyond_the_horizon_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "HORIZON", 1)
    steps = [train_step(step, loss=1.0) for step in (1, 2, 3)]
    found = alerts(run_start(), *steps, resume(1), *steps[1:])["resume_beyond_horizon"]
    assert found.severity is Severity.INFO
    assert found.message.startswith("1 resume went back further than")
    assert found.context == {"left_out": 1, "superseded": 1}


def test_a_resume_alone_is_no_alert() -> None:
    again: list[AnyEvent] = [train_step(2, loss=1.0), evaluation("test", loss=1.0), run_end()]
    assert alerts(run_start(), train_step(2, loss=1.0), resume(1), *again) == {}


def test_the_most_severe_comes_first() -> None:
    found = alerts(train_step(loss=math.nan), alert("a", Severity.WARNING))
    orders = [entry.severity.order for entry in found.values()]
    assert orders == sorted(orders, reverse=True)
    assert len(set(orders)) > 1
