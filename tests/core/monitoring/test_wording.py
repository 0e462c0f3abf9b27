"""Ratios in words."""

import math

import pytest

from gradience.core.monitoring.wording import multiple


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1.5234, "1.52 x"),
        (6.0, "6 x"),
        (119.03, "119 x"),
        (1133.4, "1133 x"),
        (1.2345e9, "1.2e+09 x"),
        (math.inf, "inf x"),
    ],
)
def test_a_ratio_has_as_many_digits_as_matter(ratio: float, words: str) -> None:
    assert multiple(ratio) == words
