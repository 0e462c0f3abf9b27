"""Rows in buckets: exact extremes in bounded memory."""

import math

import numpy as np

from gradience.core.signals.batch import NO_STEP, Ints
from gradience.core.signals.buckets import Buckets, appended, empty_buckets, rows_of


def _rows(losses: list[float], first: int = 1) -> Buckets:
    step: Ints = np.arange(first, first + len(losses), dtype=np.int64)
    unknown = np.full(step.size, math.nan)
    return rows_of(step, step / 10.0, unknown, {"loss": np.array(losses)})


def test_few_rows_are_kept_one_by_one() -> None:
    kept = appended(empty_buckets("loss"), _rows([3.0, 1.0, 2.0]), capacity=4)
    assert (kept.rows_per_bucket, kept.n_rows) == (1, 3)
    assert kept.columns["loss"].value.tolist() == [3.0, 1.0, 2.0]
    assert kept.first_step.tolist() == kept.last_step.tolist() == [1, 2, 3]


def test_more_rows_than_buckets_are_merged_and_keep_their_extremes() -> None:
    kept = appended(empty_buckets("loss"), _rows([3.0, 1.0, 2.0, 9.0, 4.0]), capacity=3)
    loss = kept.columns["loss"]
    assert (kept.rows_per_bucket, kept.n_rows) == (2, 5)
    assert loss.value.tolist() == [1.0, 9.0, 4.0]
    assert loss.low.tolist() == [1.0, 2.0, 4.0]
    assert loss.high.tolist() == [3.0, 9.0, 4.0]
    assert loss.low_step.tolist() == [2, 3, 5]
    assert loss.high_step.tolist() == [1, 4, 5]
    assert kept.first_step.tolist() == [1, 3, 5]
    assert kept.last_step.tolist() == [2, 4, 5]
    assert kept.ts.tolist() == [0.2, 0.4, 0.5]


def test_rows_that_come_later_fill_the_begun_bucket_first() -> None:
    kept = appended(empty_buckets("loss"), _rows([3.0, 1.0, 2.0]), capacity=2)
    kept = appended(kept, _rows([7.0], first=4), capacity=2)
    assert kept.columns["loss"].high.tolist() == [3.0, 7.0]
    kept = appended(kept, _rows([5.0], first=5), capacity=2)
    assert kept.rows_per_bucket == 4
    assert kept.columns["loss"].high.tolist() == [7.0, 5.0]


def test_what_is_not_finite_is_no_value() -> None:
    kept = appended(empty_buckets("loss"), _rows([math.inf, math.nan, 2.0, -math.inf]), capacity=2)
    loss = kept.columns["loss"]
    assert loss.value[1] == loss.low[1] == loss.high[1] == 2.0
    assert np.isnan([loss.value[0], loss.low[0], loss.high[0]]).all()
    assert loss.low_step.tolist() == [NO_STEP, 3]


def test_the_first_of_equal_extremes_gives_the_step() -> None:
    kept = appended(empty_buckets("loss"), _rows([2.0, 2.0, 2.0, 2.0]), capacity=1)
    assert kept.columns["loss"].low_step.tolist() == kept.columns["loss"].high_step.tolist() == [1]


def test_no_rows_change_nothing() -> None:
    empty = empty_buckets("loss")
    assert appended(empty, _rows([]), capacity=2) is empty


def test_the_rows_given_are_left_as_they_are() -> None:
    losses = np.array([-0.0, math.inf])
    step = np.array([1, 2], dtype=np.int64)
    kept = appended(
        empty_buckets("loss"), rows_of(step, losses, losses, {"loss": losses}), capacity=1
    )
    assert math.copysign(1.0, kept.columns["loss"].low[0]) == 1.0
    assert math.copysign(1.0, losses[0]) == -1.0
    assert step.tolist() == [1, 2]
