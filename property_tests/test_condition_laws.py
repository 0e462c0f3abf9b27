"""Faults put into healthy series are found; series without are left in peace.

The real series are public logs beside the checkout; without them their laws are skipped, and those
of the synthetic series still hold.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from benchmarks.condition_rates import CALM_SPREAD, spread, training_alerts
from benchmarks.labels import DATA, QUIET_LOGS, LogLabels, read_labels
from benchmarks.loss_curves import (
    HEALTHY,
    Curve,
    curve_signals,
    flat_curve,
    healthy_curve,
    local_level,
    with_dead_gradients,
    with_divergence,
    with_outlier,
    with_spike,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.shared_data import needs_shared_data

from gradience.core.monitoring.nonfinite_alerts import nonfinite_alerts
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.severity import Severity
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import run_signals
from gradience.shell.telemetry.run_log import open_run_log

MIN_ROWS = 15
"""Rows of a real series that faults are put into."""

LONG_ENOUGH = 40
"""Rows of a series in which a jump of 3 times is demanded: in fewer, its fall is half of it."""

SETTLED = 12
"""Rows before a fault: in the first ones a run falls from wherever it began."""


class RealSeries(NamedTuple):
    """A real log's training side, and the codes that may be raised on it."""

    name: str
    curve: Curve
    named: frozenset[str]
    healthy: bool
    """Whether nothing must be raised."""


@cache
def real_series() -> tuple[RealSeries, ...]:
    """Every real log with training losses that is no reinforcement learning."""
    logs = {DATA / log: labels for log, labels in read_labels(DATA).items()}
    for pattern in QUIET_LOGS:
        logs.update(dict.fromkeys(sorted(DATA.glob(pattern)), LogLabels()))
    found = []
    for path, labels in logs.items():
        signals = run_signals(open_run_log(path).iter_batches())
        history = signals.history
        if signals.objective.kind is not Objective.REINFORCEMENT and history.n_rows:
            columns = (history.loss.value, history.grad_norm.value, history.lr.value)
            curve = Curve(history.first_step, *columns)
            found.append(
                RealSeries(str(path.relative_to(DATA)), curve, labels.named, not labels.must)
            )
    return tuple(found)


def longer_series(code: str) -> list[RealSeries]:
    """Healthy real series without that code and long enough, rows without loss left out."""
    kept = (
        series._replace(curve=series.curve.rows(np.flatnonzero(np.isfinite(series.curve.loss))))
        for series in real_series()
        if series.healthy and code not in series.named
    )
    return [series for series in kept if series.curve.step.size >= MIN_ROWS]


def codes(curve: Curve) -> set[str]:
    return {alert.code for alert in training_alerts(curve_signals(curve))}


def loud(curve: Curve) -> dict[str, str]:
    """Code → message of every alert at warning or above."""
    alerts = training_alerts(curve_signals(curve))
    return {a.code: a.message for a in alerts if a.severity.at_least(Severity.WARNING)}


def fault_row(data: st.DataObject, curve: Curve, left: int = 2) -> int:
    """A row with a settled series before it and ``left`` rows at least from it on."""
    last = curve.step.size - left
    assume(last >= SETTLED)
    return data.draw(st.integers(SETTLED, last), label="row")


def is_calm(curve: Curve, row: int, limit: float = CALM_SPREAD) -> bool:
    """Whether the eye sees a jump of 3 times: little noise nearby, no steep fall, not near zero."""
    near = curve.loss[max(0, row - 25) : row + 25]
    before = curve.loss[max(0, row - SETTLED) : row]
    level = local_level(curve.loss, row)
    falling = np.median(before) > 1.2 * level
    return spread(near) <= limit and not falling and bool(level > 0.5 * curve.loss.mean())


@needs_shared_data
@given(data=st.data())
def test_real_runs_seen_half_way_raise_nothing(data: st.DataObject) -> None:
    series = data.draw(st.sampled_from(real_series()))
    rows = data.draw(st.integers(1, series.curve.step.size))
    found = loud(series.curve.rows(slice(0, rows)))
    assert found.keys() <= series.named, (series.name, rows, found)


@needs_shared_data
@pytest.mark.parametrize("change", ["every second", "every third", "doubled", "x 0.3", "x 20"])
def test_real_runs_logged_otherwise_raise_nothing(change: str) -> None:
    for series in real_series():
        curve, n = series.curve, series.curve.step.size
        changed = {
            "every second": curve.rows(slice(0, None, 2)),
            "every third": curve.rows(slice(1, None, 3)),
            "doubled": curve.rows(np.repeat(np.arange(n), 2)),
            "x 0.3": curve.with_loss(0.3 * curve.loss),
            "x 20": curve.with_loss(20 * curve.loss),
        }[change]
        found = loud(changed)
        assert found.keys() <= series.named, (series.name, found)


@needs_shared_data
@given(data=st.data(), size=st.floats(3, 10), rows=st.integers(1, 3))
def test_spikes_in_calm_real_runs_are_found(data: st.DataObject, size: float, rows: int) -> None:
    series = data.draw(st.sampled_from(longer_series("loss_spike")))
    row = fault_row(data, series.curve, rows + 3)
    assume(series.curve.step.size >= LONG_ENOUGH and is_calm(series.curve, row))
    assert "loss_spike" in codes(with_spike(series.curve, row, size, rows).curve), series.name


@needs_shared_data
@given(data=st.data())
def test_spikes_of_10_in_noisy_real_runs_are_found(data: st.DataObject) -> None:
    series = data.draw(st.sampled_from(longer_series("loss_spike")))
    row = fault_row(data, series.curve)
    assume(is_calm(series.curve, row, limit=0.3))
    assert "loss_spike" in codes(with_spike(series.curve, row, 10).curve), series.name


@needs_shared_data
@given(data=st.data(), size=st.floats(3, 8), climb=st.integers(1, 4))
def test_divergence_of_calm_real_runs_is_found(
    data: st.DataObject, size: float, climb: int
) -> None:
    series = data.draw(st.sampled_from(longer_series("divergence")))
    curve = series.curve
    row = fault_row(data, curve, max(6 + climb, curve.step.size // 10 + climb))
    # The risen loss goes on falling as the run does: most of its learning must be done.
    assume(is_calm(curve, row) and row >= curve.step.size // 5)
    loss = with_divergence(curve, row, size, climb).curve
    found = {a.code: a for a in training_alerts(curve_signals(loss))}
    assert "divergence" in found, series.name
    assert found["divergence"].severity is Severity.ERROR


@needs_shared_data
@given(data=st.data())
def test_losses_that_become_zero_are_found(data: st.DataObject) -> None:
    series = data.draw(st.sampled_from(longer_series("zero_loss")))
    row = fault_row(data, series.curve, 4)
    assume(local_level(series.curve.loss[:row], row) > 0.01)
    placed = with_dead_gradients(series.curve, row, zero=True)
    found = {a.code: a for a in training_alerts(curve_signals(placed.curve))}
    assert found["zero_loss"].severity is Severity.ERROR, series.name


@needs_shared_data
@given(data=st.data())
def test_dead_gradients_from_the_start_are_found(data: st.DataObject) -> None:
    series = data.draw(st.sampled_from(longer_series("no_learning")))
    assume(series.curve.step.size >= 20 and series.curve.loss[0] > 0.06)
    placed = with_dead_gradients(series.curve, 1, zero=False)
    curve = placed.curve._replace(lr=np.full_like(placed.curve.lr, 1e-4))
    assert "no_learning" in codes(curve), series.name


@needs_shared_data
@given(data=st.data(), size=st.floats(10, 100))
def test_gradient_norm_outliers_in_real_runs_are_found(data: st.DataObject, size: float) -> None:
    series = data.draw(st.sampled_from(longer_series("grad_norm_outlier")))
    curve = series.curve.rows(np.flatnonzero(series.curve.grad_norm > 0))
    assume(curve.step.size >= 20)
    row = fault_row(data, curve)
    near = np.log(curve.grad_norm[max(0, row - 32) : row + 33])
    noise = 1.4826 * np.median(np.abs(near - np.median(near)))
    assume(np.log(size) > 8 * noise)
    assert "grad_norm_outlier" in codes(with_outlier(curve, row, size).curve), series.name


@needs_shared_data
@given(data=st.data(), value=st.sampled_from([np.nan, np.inf]))
def test_values_that_are_not_finite_are_found_and_disturb_nothing(
    data: st.DataObject, value: float
) -> None:
    series = data.draw(st.sampled_from(longer_series("nonfinite_loss")))
    row = fault_row(data, series.curve)
    loss = series.curve.loss.copy()
    loss[row] = value
    curve = series.curve.with_loss(loss)
    assert loud(curve).keys() <= series.named, series.name
    signals = curve_signals(curve, nan_is_logged=True)
    assert "nonfinite_loss" in {a.code for a in nonfinite_alerts(signals, MonitorPolicy())}


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(sorted(HEALTHY)), n=st.integers(1, 600))
def test_healthy_synthetic_runs_show_no_error(seed: int, kind: str, n: int) -> None:
    signals = curve_signals(healthy_curve(np.random.default_rng(seed), kind, n))
    errors = [a.message for a in training_alerts(signals) if a.severity.at_least(Severity.ERROR)]
    assert errors == []


@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(HEALTHY)),
    n=st.integers(1, 300),
    factor=st.sampled_from([0.5, 2.0, 8.0, 64.0]),
)
def test_the_unit_of_the_loss_does_not_matter(seed: int, kind: str, n: int, factor: float) -> None:
    curve = healthy_curve(np.random.default_rng(seed), kind, n)
    absolute = {"near_zero_train_loss", "no_learning", "zero_loss"}
    scaled = codes(curve.with_loss(factor * curve.loss))
    assert scaled - absolute == codes(curve) - absolute


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(60, 1000))
def test_nearly_still_runs_do_not_learn(seed: int, n: int) -> None:
    curve = flat_curve(np.random.default_rng(seed), n, noise=0.0)
    still = curve.with_loss(curve.loss + 0.001 * (np.arange(n) % 3))
    assert "no_learning" in codes(still)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(0, 4))
def test_a_few_rows_say_nothing(seed: int, rows: int) -> None:
    curve = healthy_curve(np.random.default_rng(seed), "high_start", rows)
    assert codes(curve) == set()


NUMBERS = st.one_of(
    st.floats(),
    st.sampled_from([0.0, 1.0, 5e-324, 1e-300, 1e300, -1.0, np.nan, np.inf]),
    st.floats(0.1, 10),
)


@given(data=st.data(), n=st.integers(0, 250), repeats=st.integers(1, 5))
def test_no_numbers_break_the_conditions(data: st.DataObject, n: int, repeats: int) -> None:
    def column() -> np.ndarray:
        drawn = data.draw(st.lists(NUMBERS, min_size=1, max_size=12))
        return np.resize(np.repeat(np.array(drawn), repeats), n)

    step = np.resize(np.array(data.draw(st.lists(st.integers(-5, 9), min_size=1))), n)
    curve = Curve(step if data.draw(st.booleans()) else np.arange(n), *(column() for _ in range(3)))
    for alert in training_alerts(curve_signals(curve, nan_is_logged=True)):
        assert alert.message
        assert alert.series
        numbers = [value for value in alert.context.values() if isinstance(value, float)]
        assert np.isfinite(numbers).all(), alert
