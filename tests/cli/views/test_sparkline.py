"""A series as a line of blocks."""

import math

import numpy as np
import pytest

from gradience.cli.views.sparkline import ASCII, BLOCKS, alphabet_of, sparkline
from gradience.core.signals.batch import Floats


def line(*values: float, width: int = 80) -> str:
    return sparkline(np.array(values, dtype=np.float64), width)


def test_a_ramp_takes_every_level_once() -> None:
    assert line(*range(8)) == "▁▂▃▄▅▆▇█"
    assert line(*range(8, 0, -1)) == "█▇▆▅▄▃▂▁"


def test_nothing_is_drawn_of_nothing() -> None:
    assert line() == ""
    assert line(1.0, width=0) == ""
    assert line(1.0, width=-3) == ""


def test_equal_values_stand_in_the_middle() -> None:
    assert line(0.0, 0.0, 0.0) == "▅▅▅"
    assert line(1e-5) == "▅"


def test_the_rounding_of_a_constant_is_not_drawn() -> None:
    assert sparkline(np.full(1000, 1e-4), 30) == "▅" * 30
    assert line(1.2, 1.2000000001, 1.2) == "▅▅▅"
    assert line(1.2, 1.20001, 1.2) == "▁█▁"
    rounded = np.full(100, 1.2)
    rounded[::2] += 1e-15
    rounded[50] += 1e-12
    assert sparkline(rounded, 100) == "▅" * 100


def test_a_value_that_is_unknown_is_a_gap() -> None:
    assert line(0.0, math.nan, 1.0, math.inf, -math.inf) == "▁ █  "
    assert line(math.nan, math.nan) == "  "


def test_more_values_than_columns_share_them() -> None:
    ramp = np.repeat(np.arange(8.0), 100)
    assert sparkline(ramp, 8) == "▁▂▃▄▅▆▇█"
    assert len(sparkline(ramp, 31)) == 31
    assert list(sparkline(ramp, 31)) == sorted(sparkline(ramp, 31))


def test_a_column_of_known_and_unknown_values_stands_at_the_known_ones() -> None:
    assert line(0.0, math.nan, math.nan, 1.0, width=2) == "▁█"


def wave(n: int = 100) -> Floats:
    return np.sin(np.arange(n))


def test_an_extreme_far_from_the_bulk_is_marked_and_the_bulk_keeps_its_levels() -> None:
    values = wave()
    values[50] = 1e6
    drawn = sparkline(values, 100)
    assert drawn[50] == "▲"
    assert set(drawn) == {*BLOCKS.levels, "▲"}
    assert set(sparkline(-values, 100)) == {*BLOCKS.levels, "▼"}


def test_an_extreme_near_the_bulk_is_drawn_to_scale() -> None:
    values = wave()
    values[50] = 3.0
    drawn = sparkline(values, 100)
    assert (drawn[50], drawn.count("█")) == ("█", 1)


def test_an_extreme_shows_where_its_column_holds_many_values() -> None:
    values = wave(10_000)
    values[5_000] = 1e6
    assert "▲" in sparkline(values, 20)


def test_an_extreme_within_a_bucket_shows_too() -> None:
    values, high = wave(), wave()
    high[7] = 1e6
    assert sparkline(values, 100, low=values, high=high)[7] == "▲"


def test_one_other_value_among_equal_ones_is_drawn_to_scale() -> None:
    assert sparkline(np.array([1.0] * 50 + [2.0]), 51) == "▁" * 50 + "█"


@pytest.mark.parametrize("scale", [1e308, 5e-324, 1e-300])
def test_large_and_small_numbers_are_drawn_without_overflow(scale: float) -> None:
    assert line(-scale, scale, -scale, scale) == "▁█▁█"


def test_ascii_where_the_encoding_has_no_blocks() -> None:
    assert alphabet_of("utf-8") is BLOCKS
    assert alphabet_of("ascii") is ASCII
    assert alphabet_of("latin-1") is ASCII
    assert alphabet_of("no such encoding") is ASCII
    assert sparkline(np.arange(8.0), 8, ASCII) == "_.-~=+*#"


def test_values_are_not_changed() -> None:
    values = np.array([1.0, math.nan, 2.0])
    sparkline(values, 2)
    assert repr(values) == repr(np.array([1.0, math.nan, 2.0]))
