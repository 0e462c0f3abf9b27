"""Sums that do not depend on how a stream was cut."""

import math

import numpy as np
import pytest

from gradience.core.signals.sums import running_sum

VALUES = np.random.default_rng(0).lognormal(0.0, 4.0, 1000)


@pytest.mark.parametrize("cut", [0, 1, 7, 128, 999, 1000])
def test_a_sum_in_two_parts_is_exactly_the_whole(cut: int) -> None:
    parts = running_sum(running_sum(0.0, VALUES[:cut]), VALUES[cut:])
    assert parts == running_sum(0.0, VALUES)


def test_it_is_the_plain_sum() -> None:
    assert running_sum(0.0, VALUES) == pytest.approx(math.fsum(VALUES), rel=1e-12)


def test_an_empty_part_changes_nothing() -> None:
    assert running_sum(2.5, np.zeros(0)) == 2.5


def test_an_overflow_is_infinite_without_a_warning() -> None:
    assert running_sum(1e308, np.array([1e308])) == math.inf
