"""Numbers out of untyped data."""

import math

import pytest

from gradience.core.numbers import counted, nesting_depth, real_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (2.5, 2.5), (10**400, math.inf), (-(10**400), -math.inf)],
)
def test_numbers_are_floats(value: float, expected: float) -> None:
    assert real_number(value) == expected


def test_one_thing_is_counted_in_the_singular() -> None:
    found = [counted(n, "module") for n in (0, 1, 2)]
    assert found == ["0 modules", "1 module", "2 modules"]


@pytest.mark.parametrize("value", [True, "1", None, [1]])
def test_other_things_are_none(value: object) -> None:
    assert real_number(value) is None


@pytest.mark.parametrize(
    ("value", "depth"), [(1, 0), ({}, 1), ([[1]], 2), ({"a": [{"b": {}}]}, 4), ([[[[[]]]]], 4)]
)
def test_depth_is_counted_up_to_one_beyond_the_limit(value: object, depth: int) -> None:
    assert nesting_depth(value, 3) == depth
