"""The points beside an alert."""

import math

import numpy as np

from gradience.core.monitoring.conditions.series import MAX_POINTS, alert_series
from gradience.core.signals.history import MAX_BUCKETS
from tests.core.monitoring.conditions.training_curves import signals_of


def test_rows_around_the_alert_are_shown_one_by_one() -> None:
    loss = np.arange(1.0, 101.0)
    (series,) = alert_series(signals_of(loss).history, "loss", first_row=50, last_row=50)
    assert series.name == "loss"
    assert series.step == tuple(range(31, 72))
    assert series.value == tuple(map(float, range(31, 72)))


def test_the_margin_grows_with_the_alert_and_ends_with_the_record() -> None:
    history = signals_of(np.ones(100)).history
    (series,) = alert_series(history, "loss", first_row=10, last_row=59)
    assert (series.step[0], series.step[-1]) == (1, 100)


def test_what_was_not_logged_is_none() -> None:
    history = signals_of([1.0, None, math.nan, 2.0]).history
    loss, norm = alert_series(history, "loss", "grad_norm", first_row=0, last_row=3)
    assert loss.value == (1.0, None, None, 2.0)
    assert norm.value == (None,) * 4


def test_a_long_stretch_keeps_its_extremes_in_order() -> None:
    loss = np.ones(3000)
    loss[1234], loss[1235], loss[2000] = 9.0, 0.5, 7.0
    (series,) = alert_series(signals_of(loss).history, "loss", first_row=0, last_row=2999)
    assert len(series.step) <= MAX_POINTS
    points = dict(zip(series.step, series.value, strict=True))
    assert (points[1235], points[1236], points[2001]) == (9.0, 0.5, 7.0)
    assert list(series.step) == sorted(step for step in series.step if step is not None)


def test_the_extremes_inside_a_bucket_are_shown() -> None:
    loss = np.ones(2 * MAX_BUCKETS)
    loss[500], loss[501] = 3.0, 0.25
    (series,) = alert_series(signals_of(loss).history, "loss", first_row=240, last_row=260)
    points = dict(zip(series.step, series.value, strict=True))
    assert (points[501], points[502]) == (3.0, 0.25)


def test_a_column_never_logged_is_all_none_however_long() -> None:
    (series,) = alert_series(signals_of(np.ones(3000)).history, "lr", first_row=0, last_row=2999)
    assert set(series.value) == {None}
    assert len(series.value) <= MAX_POINTS
