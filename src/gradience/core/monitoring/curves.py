"""The curves of a whole run, thinned to what a plot shows."""

from collections.abc import Iterator

from gradience.core.monitoring.alert import AlertSeries
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.monitoring.evaluation_points import held_out
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.signals.buckets import Buckets
from gradience.core.signals.pipeline import RunSignals

TRAINING_CURVES = ("loss", "lr", "grad_norm")


def run_curves(signals: RunSignals, policy: GapPolicy | None = None) -> tuple[AlertSeries, ...]:
    """The run's curves: training loss, learning rate, gradient norm, each split's eval loss.

    Args:
        signals: What the analyzers found.
        policy: The names that held-out splits have.

    Returns:
        One series for each quantity that was logged, named ``loss``, ``lr``, ``grad_norm`` and
        ``<split>.loss``, thinned to at most
        :data:`~gradience.core.monitoring.conditions.series.MAX_POINTS` points, extremes kept.
        Rows that have no finite value of a quantity are left out of its curve.
    """
    found = list(_curves(signals.history, TRAINING_CURVES))
    for history in held_out(signals.eval_histories, policy or GapPolicy()).splits:
        for curve in _curves(history, ("loss",)):
            name = f"{history.split}.{curve.name}"
            found.append(AlertSeries(name=name, step=curve.step, value=curve.value))
    return tuple(found)


def _curves(buckets: Buckets, names: tuple[str, ...]) -> Iterator[AlertSeries]:
    last = buckets.first_step.size - 1
    if last < 0:
        return
    for curve in alert_series(buckets, *names, first_row=0, last_row=last):
        known = [
            point for point in zip(curve.step, curve.value, strict=True) if point[1] is not None
        ]
        if known:
            steps, values = zip(*known, strict=True)
            yield AlertSeries(name=curve.name, step=steps, value=values)
