"""The points to plot beside an alert: the rows around it, thinned so that its extremes stay."""

import math
from typing import NamedTuple

import numpy as np

from gradience.core.monitoring.alert import AlertSeries
from gradience.core.signals.batch import Floats, Ints
from gradience.core.signals.buckets import Buckets
from gradience.core.signals.loss import known_step

MAX_POINTS = 200
"""Points of one series at most: as many as a picture of a report's width shows apart."""

MIN_MARGIN = 20
"""Rows shown before and after the alert at least, where the record has them."""


def alert_series(
    history: Buckets, *columns: str, first_row: int, last_row: int
) -> tuple[AlertSeries, ...]:
    """The series of some columns around an alert.

    Args:
        history: Training steps or evaluations.
        columns: Names of its columns, plotted under those names.
        first_row: First row (bucket) that the alert is about.
        last_row: Last one, included.

    Returns:
        One series per column, of at most :data:`MAX_POINTS` points: as many rows on either side
        as the alert is long, and at least :data:`MIN_MARGIN`. Where rows must be left out, the
        smallest and the largest of each stretch stay.
    """
    margin = max(MIN_MARGIN, last_row + 1 - first_row)
    start = max(0, first_row - margin)
    stop = min(history.first_step.size, last_row + 1 + margin)
    return tuple(_series(history, name, start, stop) for name in columns)


def _series(history: Buckets, name: str, start: int, stop: int) -> AlertSeries:
    column, rows = history.columns[name], np.arange(start, stop)
    two_valued = int(np.count_nonzero(column.low[rows] < column.high[rows]))
    stretches = rows.size if rows.size + two_valued <= MAX_POINTS else MAX_POINTS // 2
    low = _extreme_rows(np.where(np.isnan(column.low), np.inf, column.low), rows, stretches)
    high = _extreme_rows(np.where(np.isnan(column.high), np.inf, -column.high), rows, stretches)
    points: list[_Point] = []
    for least, most in zip(low.tolist(), high.tolist(), strict=True):
        points += _between(
            _Point(least, int(column.low_step[least]), float(column.low[least])),
            _Point(most, int(column.high_step[most]), float(column.high[most])),
        )
    return AlertSeries(
        name=name,
        step=tuple(known_step(point.step) for point in points),
        value=tuple(None if math.isnan(p.value) else p.value for p in points),
    )


class _Point(NamedTuple):
    row: int
    step: int
    value: float


def _extreme_rows(keys: Floats, rows: Ints, stretches: int) -> Ints:
    """The row of the smallest key in each of ``stretches`` parts of some consecutive rows."""
    width = -(-rows.size // stretches) if stretches else 1
    padded = np.full(-(-rows.size // width) * width, np.inf)
    padded[: rows.size] = keys[rows]
    parts = padded.reshape(-1, width)
    found: Ints = rows[np.argmin(parts, axis=1) + np.arange(parts.shape[0]) * width]
    return found


def _between(low: _Point, high: _Point) -> tuple[_Point, ...]:
    """The smallest and the largest point of a stretch in record order; one where they agree."""
    if low.value == high.value or math.isnan(low.value):
        return (high,)
    return (low, high) if (low.row, low.step) <= (high.row, high.step) else (high, low)
