"""Every split's evaluations in a row, with the training loss beside them."""

import math

import numpy as np

from gradience.core.signals.analyzer import fold
from gradience.core.signals.batch import NO_STEP
from gradience.core.signals.eval_history import MAX_BUCKETS, MAX_SPLITS, eval_histories
from tests.core.telemetry.sample_events import batch, decoded, train_step


def test_each_split_has_its_own_row_of_evaluations() -> None:
    stream = batch(
        decoded("eval", split="test", metrics={"loss": 3.0, "accuracy": 0.5}, step=0),
        train_step(1, loss=4.0),
        train_step(2, loss=2.0),
        decoded("eval", split="test", metrics={"loss": 2.5, "epoch": 1.0}, step=2),
        decoded("eval", split="train", metrics={"loss": 1.5}, step=None),
    )
    test, train = fold(eval_histories(), [stream])
    assert (test.split, train.split) == ("test", "train")
    assert test.first_step.tolist() == [0, 2]
    assert test.loss.value.tolist() == [3.0, 2.5]
    assert test.accuracy.value[0] == 0.5
    assert np.isnan(test.accuracy.value[1])
    assert np.isnan(test.train_loss[0])
    assert test.train_loss[1] == 3.0
    assert test.epoch[1] == 1.0
    assert train.first_step.tolist() == [NO_STEP]


def test_a_metric_that_is_no_finite_number_is_no_value() -> None:
    (found,) = fold(
        eval_histories(),
        [batch(decoded("eval", split="test", metrics={"loss": "a word", "accuracy": math.nan}))],
    )
    assert np.isnan(found.loss.value).all()
    assert np.isnan(found.accuracy.value).all()


def test_ever_more_evaluations_keep_to_their_memory() -> None:
    evals = [
        decoded("eval", split="test", metrics={"loss": float(abs(step - 1500))}, step=step)
        for step in range(3000)
    ]
    (found,) = fold(eval_histories(), [batch(*evals)])
    assert found.rows_per_bucket == 4
    assert found.loss.low.size <= MAX_BUCKETS
    best = int(np.argmin(found.loss.low))
    assert (found.loss.low[best], found.loss.low_step[best]) == (0.0, 1500)


def test_splits_beyond_the_limit_are_not_followed() -> None:
    evals = [
        decoded("eval", split=f"s{place}", metrics={"loss": 1.0}) for place in range(MAX_SPLITS + 3)
    ]
    found = fold(eval_histories(), [batch(*evals[:5]), batch(*evals[5:])])
    assert [history.split for history in found] == [f"s{place}" for place in range(MAX_SPLITS)]
