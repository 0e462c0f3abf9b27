"""Written durations."""

from datetime import timedelta

import pytest

from gradience.core.foreign_logs.durations import seconds


@pytest.mark.parametrize("total", [0, 59, 60, 3599, 3600, 86_399, 86_400, 93_784, 999_999])
def test_pythons_own_words_for_a_duration_are_read(total: int) -> None:
    assert seconds(str(timedelta(seconds=total))) == total


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6s", 6),
        ("47m 29s", 2849),
        ("21h 35m 49s", 77_749),
        ("1d 2h 3m 4s", 93_784),
        ("2 days, 0:00:01.500000", 172_801.5),
    ],
)
def test_units_and_fractions_are_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1:2", "12", "-1 day", "1:00:00 left", None, 3.5, []])
def test_anything_else_is_no_duration(text: object) -> None:
    assert seconds(text) is None
