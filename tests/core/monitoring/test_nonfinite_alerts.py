"""What the recorder saw of gradients and parameters that were not finite.

The alerts about logged numbers are tested with the others, in ``test_alerts``.
"""

import math

import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.nonfinite_alerts import nonfinite_alerts
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent, TrainStep
from tests.core.telemetry.sample_events import alert, batch, resume, train_step


def alerts(*events: AnyEvent) -> dict[str, MonitorAlert]:
    signals = run_signals([batch(*events)])
    return {found.code: found for found in nonfinite_alerts(signals, MonitorPolicy())}


def seen(step: int, loss: float = 1.0, *, grads: int = 0, params: int = 0) -> TrainStep:
    counts = {"nonfinite_grad_steps": grads, "nonfinite_param_steps": params}
    return train_step(step, loss=loss, extras=counts)


def test_a_clean_run_has_none() -> None:
    assert alerts(seen(10), seen(20)) == {}


def test_parameters_that_were_not_finite_are_an_error_though_the_loss_looks_well() -> None:
    found = alerts(seen(10), seen(20, params=3), seen(30, params=10))["nonfinite_parameters"]
    assert found.severity is Severity.ERROR
    assert found.message == (
        "parameters were not finite at 13 optimizer steps, first in the log of step 20, although "
        "every logged loss is finite: the Trainer's loss filter (logging_nan_inf_filter) replaces "
        "NaN in its logs"
    )
    assert (found.first_step, found.last_step, found.context) == (20, 30, {"count": 13})


def test_a_loss_that_shows_it_is_not_called_filtered() -> None:
    found = alerts(seen(10, math.nan, params=1))["nonfinite_parameters"]
    assert "filter" not in found.message


def test_the_recorders_alert_gives_the_step_and_the_modules() -> None:
    said = alert("nonfinite_parameters", Severity.ERROR, 13, {"modules": ["q_proj"], "count": 1})
    found = alerts(said, seen(20, params=3))["nonfinite_parameters"]
    assert "at 3 optimizer steps, first at step 13" in found.message
    assert found.first_step == 13
    assert found.context == {
        "modules": ["q_proj"],
        "count": 3,
        "recorded": "about nonfinite_parameters",
    }


@pytest.mark.parametrize(
    ("count", "loss", "severity"),
    [(1, 1.0, Severity.INFO), (2, 1.0, Severity.WARNING), (1, math.nan, Severity.WARNING)],
)
def test_gradients_are_judged_as_logged_norms_are(
    count: int, loss: float, severity: Severity
) -> None:
    found = alerts(seen(10, loss, grads=count))["nonfinite_gradients"]
    assert found.severity is severity
    assert found.message.startswith("gradients were not finite at")
    hidden = severity is Severity.WARNING and math.isfinite(loss)
    assert ("may hide NaN (logging_nan_inf_filter)" in found.message) == hidden


@pytest.mark.parametrize("severity", [Severity.INFO, Severity.WARNING])
def test_the_recorder_knows_whether_a_loss_scaler_skips_them(severity: Severity) -> None:
    said = alert("nonfinite_gradients", severity, 2)
    assert alerts(said, seen(10, grads=8))["nonfinite_gradients"].severity is severity


def test_what_was_seen_before_a_resume_stands() -> None:
    found = alerts(seen(10), seen(20, math.nan, params=1), resume(10), seen(20))
    assert set(found) == {"nonfinite_loss", "nonfinite_parameters"}


def norms(*bad: int, n: int) -> MonitorAlert:
    """The alert on a run of ``n`` rows whose norms are infinite at some of them."""
    rows = [
        train_step(row, loss=1.0, grad_norm=math.inf if row in bad else 0.5)
        for row in range(1, n + 1)
    ]
    return alerts(*rows)["nonfinite_grad_norm"]


@pytest.mark.parametrize(
    ("bad", "n", "severity"),
    [
        ((1, 2, 3, 4), 30, Severity.INFO),
        ((1, 2, 3, 4), 12, Severity.WARNING),
        ((1, 2, 3, 20), 30, Severity.WARNING),
        ((50, 150, 250), 300, Severity.INFO),
        ((50, 100, 150, 250), 300, Severity.WARNING),
    ],
    ids=["first rows", "of few", "and later", "one in a hundred", "more"],
)
def test_what_a_loss_scaler_explains_is_an_info(
    bad: tuple[int, ...], n: int, severity: Severity
) -> None:
    assert norms(*bad, n=n).severity is severity


def test_the_norms_around_them_are_there_to_plot() -> None:
    norm, loss = norms(50, n=100).series
    assert (norm.name, loss.name) == ("grad_norm", "loss")
    assert norm.value[norm.step.index(50)] is None


def test_a_metric_of_which_there_is_none_is_an_info() -> None:
    found = alerts(train_step(1, loss=0.1, extras={"reward_std": math.nan}))["nonfinite_metric"]
    assert found.severity is Severity.INFO
    lr = alerts(train_step(1, loss=0.1, lr=math.nan))["nonfinite_metric"]
    assert lr.severity is Severity.WARNING
