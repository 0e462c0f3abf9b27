"""The summary of the training loss."""

import math

import pytest

from gradience.core.signals.analyzer import fold
from gradience.core.signals.batch import NO_STEP
from gradience.core.signals.loss import SMOOTHING_WINDOW, LossSignal, known_step, loss_summary
from tests.core.telemetry.sample_events import batch, train_step


def summary(*losses: float | None) -> LossSignal:
    steps = [train_step(place, loss=loss) for place, loss in enumerate(losses)]
    return fold(loss_summary(), [batch(*steps)])


def test_the_summary_is_over_the_finite_losses() -> None:
    found = summary(3.0, math.nan, None, 1.0, math.inf, 2.0)
    assert found == LossSignal(
        n=3,
        first=3.0,
        last=2.0,
        last_step=5,
        min=1.0,
        min_step=3,
        max=3.0,
        mean=2.0,
        smoothed=2.0,
    )


@pytest.mark.parametrize("losses", [(), (math.nan,), (None,)])
def test_no_finite_loss_is_a_result_with_a_reason(losses: tuple[float | None, ...]) -> None:
    assert summary(*losses) == LossSignal(n=0, reason="no finite training loss was logged")


def test_the_smoothed_loss_is_the_mean_of_the_last_window() -> None:
    assert summary(100.0, *[2.0] * SMOOTHING_WINDOW).smoothed == 2.0
    assert summary(4.0, 2.0).smoothed == 3.0


def test_a_step_that_the_record_does_not_give_is_none() -> None:
    found = fold(loss_summary(), [batch(train_step(None, loss=1.0))])
    assert (found.last_step, found.min_step) == (None, None)


def test_the_first_of_equal_minima_counts() -> None:
    assert summary(1.0, 1.0).min_step == 0


def test_an_unknown_step_is_none() -> None:
    assert known_step(NO_STEP) is None
    assert known_step(0) == 0
