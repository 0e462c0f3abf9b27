"""The training steps of a run, in bounded memory."""

import math

import numpy as np

from gradience.core.signals.analyzer import fold
from gradience.core.signals.batch import NO_STEP
from gradience.core.signals.history import MAX_BUCKETS, training_history
from tests.core.telemetry.sample_events import batch, train_step


def test_a_run_that_fits_is_kept_row_by_row_in_the_order_of_its_record() -> None:
    kept = fold(
        training_history(),
        [
            batch(train_step(2, loss=3.0, lr=0.1), train_step(1, loss=math.nan, grad_norm=5.0)),
            batch(train_step(None, loss=1.0, lr=(0.1, 0.2))),
        ],
    )
    assert (kept.rows_per_bucket, kept.n_rows) == (1, 3)
    assert kept.first_step.tolist() == [2, 1, NO_STEP]
    assert np.isnan(kept.loss.value).tolist() == [False, True, False]
    assert kept.lr.value[2] == 0.2
    assert kept.grad_norm.high[1] == 5.0


def test_a_long_run_keeps_its_spike_and_its_memory() -> None:
    spike = 12_345
    losses = [50.0 if step == spike else 1.0 for step in range(20_000)]
    steps = [train_step(step, loss=loss) for step, loss in enumerate(losses)]
    kept = fold(training_history(), [batch(*steps)])
    assert kept.rows_per_bucket == 8
    assert kept.loss.high.size == 20_000 // 8 <= MAX_BUCKETS
    worst = int(np.argmax(kept.loss.high))
    assert (kept.loss.high[worst], kept.loss.high_step[worst]) == (50.0, spike)
    assert kept.first_step[worst] <= spike <= kept.last_step[worst]


def test_no_step_is_an_empty_history() -> None:
    kept = fold(training_history(), [])
    assert kept.n_rows == kept.loss.value.size == 0
