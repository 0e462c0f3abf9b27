"""Laws of the histories: no cut matters, extremes are those of the rows, memory is bounded."""

from collections.abc import Sequence
from itertools import pairwise

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.signals.batch import NO_STEP, Floats
from gradience.core.signals.buckets import Buckets, ColumnHistory, appended, empty_buckets, rows_of

VALUES = st.lists(st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0]), max_size=80)
CUTS = st.lists(st.integers(0, 80), max_size=6)
CAPACITIES = st.integers(1, 9)


def _kept(values: Sequence[float], cuts: Sequence[int], capacity: int) -> Buckets:
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    kept = empty_buckets("loss")
    for low, high in pairwise(edges):
        step = np.arange(low, high, dtype=np.int64)
        part = np.array(values[low:high], dtype=np.float64)
        kept = appended(kept, rows_of(step, part, -part, {"loss": part}), capacity)
    return kept


def _flat(kept: Buckets) -> list[object]:
    """Everything there is, so that equality is exact and NaN equals NaN."""
    arrays = [kept.first_step, kept.last_step, kept.ts, kept.epoch]
    for column in kept.columns.values():
        arrays += [getattr(column, field.name) for field in attrs.fields(ColumnHistory)]
    return [kept.rows_per_bucket, kept.n_rows, *(repr(array.tolist()) for array in arrays)]


@given(VALUES, CUTS, CAPACITIES)
def test_no_cut_matters(values: list[float], cuts: list[int], capacity: int) -> None:
    assert _flat(_kept(values, cuts, capacity)) == _flat(_kept(values, [], capacity))


@given(VALUES, CUTS, CAPACITIES)
def test_each_bucket_tells_its_own_rows(
    values: list[float], cuts: list[int], capacity: int
) -> None:
    kept = _kept(values, cuts, capacity)
    size, loss = kept.rows_per_bucket, kept.columns["loss"]
    assert loss.low.size <= capacity
    assert kept.n_rows == len(values)
    for place, start in enumerate(range(0, len(values), size)):
        rows: Floats = np.array(values[start : start + size], dtype=np.float64)
        finite = rows[np.isfinite(rows)]
        found = (loss.low[place], loss.high[place], loss.value[place])
        if not finite.size:
            assert np.isnan(found).all()
            assert loss.low_step[place] == NO_STEP
            continue
        assert found == (finite.min(), finite.max(), finite[-1])
        assert loss.high_step[place] == start + int(np.flatnonzero(rows == finite.max())[0])
