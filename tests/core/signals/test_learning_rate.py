"""The summary of the learning rate."""

import math

from gradience.core.signals.analyzer import fold
from gradience.core.signals.learning_rate import LearningRateSignal, learning_rate_summary
from tests.core.telemetry.sample_events import batch, train_step


def summary(*rates: float | tuple[float, ...] | None) -> LearningRateSignal:
    steps = [train_step(place, lr=rate) for place, rate in enumerate(rates)]
    return fold(learning_rate_summary(), [batch(*steps)])


def test_the_summary_is_over_the_largest_rate_of_each_step() -> None:
    assert summary(0.1, (0.2, 0.5), None, 0.3) == LearningRateSignal(
        n=3, first=0.1, last=0.3, peak=0.5, peak_step=1, min=0.1
    )


def test_no_rate_is_a_result_with_a_reason() -> None:
    reason = "no finite learning rate was logged"
    assert summary(None, math.nan) == LearningRateSignal(n=0, reason=reason)


def test_the_first_of_equal_peaks_counts() -> None:
    assert summary(0.1, 0.5, 0.5).peak_step == 1
