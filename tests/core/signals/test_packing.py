"""Packing: whole lists and those with gaps give the same kind of array."""

import math
import struct

import numpy as np
import pytest

from gradience.core.signals.packing import packed_floats, packed_rates, packed_steps


def test_steps_are_integers_and_a_missing_one_is_marked() -> None:
    assert packed_steps([2**63 - 1, 0], -1).tolist() == [2**63 - 1, 0]
    assert packed_steps([1, None], -1).tolist() == [1, -1]
    assert packed_steps([], -1).dtype == np.int64


def test_floats_are_exact() -> None:
    assert repr(packed_floats([0.1, -0.0, math.nan, 1]).tolist()) == "[0.1, -0.0, nan, 1.0]"
    with pytest.raises(struct.error):
        packed_floats([None])


@pytest.mark.parametrize(
    ("values", "numbers", "logged"),
    [
        ([], "[]", []),
        ([1.0, math.nan], "[1.0, nan]", [True, True]),
        ([1.0, None], "[1.0, nan]", [True, False]),
        ([None, None], "[nan, nan]", [False, False]),
        ([(1.0, 3.0), (), (1.0, math.nan)], "[3.0, nan, nan]", [True, False, True]),
    ],
)
def test_what_is_missing_is_told_from_what_is_no_number(
    values: list[float | tuple[float, ...] | None], numbers: str, logged: list[bool]
) -> None:
    found, mask = packed_rates(values)
    assert (repr(found.tolist()), mask.tolist()) == (numbers, logged)
