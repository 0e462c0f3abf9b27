"""The curves of a run, thinned to what a plot shows."""

from gradience.core.monitoring.conditions.series import MAX_POINTS
from gradience.core.monitoring.curves import run_curves
from gradience.core.signals.pipeline import run_signals
from tests.core.telemetry.sample_events import batch, evaluation, train_step


def test_what_was_logged_has_a_curve() -> None:
    steps = [train_step(step, loss=3.0 - step, lr=0.1) for step in range(3)]
    signals = run_signals([batch(*steps, evaluation("test", step=2, loss=2.5))])
    curves = {curve.name: curve for curve in run_curves(signals)}
    assert set(curves) == {"loss", "lr", "test.loss"}
    assert curves["loss"].step == (0, 1, 2)
    assert curves["loss"].value == (3.0, 2.0, 1.0)
    assert curves["test.loss"].value == (2.5,)


def test_a_long_run_is_thinned_and_keeps_its_extremes() -> None:
    steps = [train_step(step, loss=99.0 if step == 777 else 1.0) for step in range(3000)]
    (curve,) = run_curves(run_signals([batch(*steps)]))
    assert len(curve.step) <= MAX_POINTS
    assert dict(zip(curve.step, curve.value, strict=True))[777] == 99.0


def test_rows_without_a_value_are_no_points() -> None:
    steps = [train_step(step, loss=2.0 if step % 2 else None, lr=0.1) for step in range(6)]
    curves = {curve.name: curve for curve in run_curves(run_signals([batch(*steps)]))}
    assert curves["loss"].step == (1, 3, 5)
    assert len(curves["lr"].step) == 6


def test_a_run_of_nothing_has_no_curves() -> None:
    assert run_curves(run_signals([])) == ()
