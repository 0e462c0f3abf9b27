"""A long record in bounded memory: rows in buckets that keep their extremes, not their means.

Of every bucket the last, the smallest and the largest value of each column are kept, which is
what a plot needs (M4, Jugel et al. 2014) and what a merge of two buckets keeps exactly: no sum is
taken, so no rounding depends on where the stream was cut.
"""

from collections.abc import Mapping

import attrs
import numpy as np

from gradience.core.signals.batch import NO_STEP, Floats, Ints

NO_ROW = -1
"""Stands for "no such row" among row numbers."""


@attrs.frozen(eq=False)
class ColumnHistory:
    """One quantity over the buckets; each array is of shape (n,) for n buckets."""

    value: Floats
    """The last finite value in the bucket, NaN where there is none."""
    low: Floats
    """The smallest finite value, NaN where there is none."""
    high: Floats
    low_step: Ints
    """The step of the first row that has the smallest value, NO_STEP where that is unknown."""
    high_step: Ints


@attrs.frozen(eq=False)
class Buckets:
    """Rows of a record, in its order, ``rows_per_bucket`` to a bucket (the last may hold less)."""

    rows_per_bucket: int
    """1 as long as the rows are few, then a power of two."""
    n_rows: int
    first_step: Ints
    """The step of the bucket's first row, NO_STEP where it is unknown; so ``last_step``."""
    last_step: Ints
    ts: Floats
    """The last finite time stamp in the bucket, NaN where there is none; so ``epoch``."""
    epoch: Floats
    columns: Mapping[str, ColumnHistory]


def empty_buckets(*names: str) -> Buckets:
    """No rows yet, of columns of these names."""
    floats, ints = np.empty(0), np.empty(0, dtype=np.int64)
    column = ColumnHistory(floats, floats, floats, ints, ints)
    return Buckets(1, 0, ints, ints, floats, floats, dict.fromkeys(names, column))


def rows_of(step: Ints, ts: Floats, epoch: Floats, values: Mapping[str, Floats]) -> Buckets:
    """Rows, each a bucket of its own; all arrays are of shape (n,).

    Args:
        step: NO_STEP where unknown.
        ts: Seconds; what is not finite counts as unknown.
        epoch: As ``ts``.
        values: The columns; what is not finite is no value of its row.
    """
    columns = {}
    for name, given in values.items():
        value = _finite(given)
        columns[name] = ColumnHistory(value, value, value, step, step)
    return Buckets(1, step.size, step, step, _finite(ts), _finite(epoch), columns)


def _finite(values: Floats) -> Floats:
    """The values with NaN for what is not finite.

    Adding zero makes one of the two zeros, which otherwise compare equal and differ.
    """
    finite = np.isfinite(values)
    return values + 0.0 if finite.all() else np.where(finite, values + 0.0, np.nan)


def appended(buckets: Buckets, rows: Buckets, capacity: int) -> Buckets:
    """The buckets with further rows at their end.

    Args:
        buckets: What is kept so far.
        rows: Rows as :func:`rows_of` gives them, of the same columns.
        capacity: Most buckets to keep: beyond it pairs of them are merged.

    Returns:
        The new buckets. They depend on the sequence of the rows alone, not on how it was cut.
    """
    if not rows.n_rows:
        return buckets
    size = buckets.rows_per_bucket
    begun = buckets.n_rows % size
    whole = buckets.first_step.size - (begun > 0)
    tail = rows if size == 1 else _grouped(rows, size, begun)
    if begun:
        tail = _joined(_cut(buckets, whole, whole + 1), tail)
        tail = _merged(tail, np.delete(np.arange(tail.first_step.size), 1))
    joined = _joined(_cut(buckets, 0, whole), tail)
    while joined.first_step.size > capacity:
        joined = _merged(joined, np.arange(0, joined.first_step.size, 2))
        size *= 2
    return attrs.evolve(joined, rows_per_bucket=size, n_rows=buckets.n_rows + rows.n_rows)


def _grouped(rows: Buckets, size: int, begun: int) -> Buckets:
    """Rows in buckets of ``size``, of which the first has place for ``size - begun``.

    The same as :func:`_merged` of the rows, for the many of a long run: each column is looked at
    as a matrix with one bucket to a row, padded where the first and the last are not full.
    """
    groups = -(-(begun + rows.n_rows) // size)
    starts = np.maximum(np.arange(groups) * size - begun, 0)
    ends = np.append(starts[1:], rows.n_rows) - 1
    columns = {}
    for name, column in rows.columns.items():
        value, known = column.value, ~np.isnan(column.value)
        whole = bool(known.all())
        least = _first_least(value if whole else np.where(known, value, np.inf), size, begun)
        most = _first_most(value if whole else np.where(known, value, -np.inf), size, begun)
        some = known[least]
        columns[name] = ColumnHistory(
            value=_last_of(value, starts, ends),
            low=value[least],
            high=value[most],
            low_step=np.where(some, column.low_step[least], NO_STEP),
            high_step=np.where(some, column.high_step[most], NO_STEP),
        )
    return attrs.evolve(
        rows,
        first_step=rows.first_step[starts],
        last_step=rows.last_step[ends],
        ts=_last_of(rows.ts, starts, ends),
        epoch=_last_of(rows.epoch, starts, ends),
        columns=columns,
    )


def _last_of(values: Floats, starts: Ints, ends: Ints) -> Floats:
    """The same as :func:`_last_known`, sooner where each group's last value is known."""
    last = values[ends]
    return _last_known(values, starts) if np.isnan(last).any() else last


def _first_least(keys: Floats, size: int, begun: int) -> Ints:
    """The place of the smallest key of each group, the first of equal ones."""
    return _places(np.argmin(_matrix(keys, size, begun, np.inf), axis=1), size, begun)


def _first_most(keys: Floats, size: int, begun: int) -> Ints:
    """The place of the largest key of each group, the first of equal ones."""
    return _places(np.argmax(_matrix(keys, size, begun, -np.inf), axis=1), size, begun)


def _matrix(keys: Floats, size: int, begun: int, fill: float) -> Floats:
    """The keys with one group to a row, the first from ``begun`` on; ``fill`` elsewhere."""
    groups = -(-(begun + keys.size) // size)
    if begun or keys.size < groups * size:
        padded = np.empty(groups * size)
        padded[:begun] = fill
        padded[begun : begun + keys.size] = keys
        padded[begun + keys.size :] = fill
        keys = padded
    return keys.reshape(groups, size)


def _places(within: Ints, size: int, begun: int) -> Ints:
    places: Ints = within + np.arange(within.size) * size - begun
    # A first group of unknown values and padding points before the first row.
    return np.maximum(places, 0)


def _cut(buckets: Buckets, start: int, stop: int) -> Buckets:
    part = slice(start, stop)
    columns = {
        name: ColumnHistory(
            c.value[part], c.low[part], c.high[part], c.low_step[part], c.high_step[part]
        )
        for name, c in buckets.columns.items()
    }
    return attrs.evolve(
        buckets,
        first_step=buckets.first_step[part],
        last_step=buckets.last_step[part],
        ts=buckets.ts[part],
        epoch=buckets.epoch[part],
        columns=columns,
    )


def _joined(a: Buckets, b: Buckets) -> Buckets:
    columns = {
        name: ColumnHistory(
            *(
                np.concatenate([getattr(column, field.name), getattr(b.columns[name], field.name)])
                for field in attrs.fields(ColumnHistory)
            )
        )
        for name, column in a.columns.items()
    }
    return attrs.evolve(
        a,
        first_step=np.concatenate([a.first_step, b.first_step]),
        last_step=np.concatenate([a.last_step, b.last_step]),
        ts=np.concatenate([a.ts, b.ts]),
        epoch=np.concatenate([a.epoch, b.epoch]),
        columns=columns,
    )


def _merged(buckets: Buckets, starts: Ints) -> Buckets:
    """Buckets merged in groups: group i is from ``starts[i]`` to ``starts[i + 1] - 1``."""
    if starts.size == buckets.first_step.size:
        return buckets
    ends = np.append(starts[1:], buckets.first_step.size) - 1
    return attrs.evolve(
        buckets,
        first_step=buckets.first_step[starts],
        last_step=buckets.last_step[ends],
        ts=_last_known(buckets.ts, starts),
        epoch=_last_known(buckets.epoch, starts),
        columns={name: _merge_column(c, starts) for name, c in buckets.columns.items()},
    )


def _merge_column(column: ColumnHistory, starts: Ints) -> ColumnHistory:
    low = np.fmin.reduceat(column.low, starts)
    high = np.fmax.reduceat(column.high, starts)
    return ColumnHistory(
        value=_last_known(column.value, starts),
        low=low,
        high=high,
        low_step=_step_of(column.low, column.low_step, low, starts),
        high_step=_step_of(column.high, column.high_step, high, starts),
    )


def _last_known(values: Floats, starts: Ints) -> Floats:
    """The last value of each group that is no NaN; NaN where there is none."""
    rows = np.where(np.isnan(values), NO_ROW, np.arange(values.size))
    last = np.maximum.reduceat(rows, starts)
    return np.where(last == NO_ROW, np.nan, values[last])


def _step_of(values: Floats, steps: Ints, extreme: Floats, starts: Ints) -> Ints:
    """The step of the first row of each group whose value is the group's extreme."""
    counts = np.diff(np.append(starts, values.size))
    none = values.size
    rows = np.where(values == np.repeat(extreme, counts), np.arange(values.size), none)
    first = np.minimum.reduceat(rows, starts)
    return np.where(first == none, NO_STEP, steps[np.minimum(first, none - 1)])
