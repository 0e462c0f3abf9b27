"""Unpacking and the size of groups."""

import numpy as np
import pytest

from gradience.core.quantisation.packed_integers import (
    group_size_of,
    unpack_rows,
    words_per_period,
)
from tests.core.quantisation.packing import packed_down


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_integers_come_out_as_they_went_in(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, size=(96, 5))
    words = packed_down(values, bits)
    assert words.shape == (96 * bits // 32, 5)
    np.testing.assert_array_equal(unpack_rows(words.view(np.uint32), bits), values)


def test_only_3bit_integers_straddle_words() -> None:
    assert [words_per_period(bits) for bits in (2, 3, 4, 8)] == [1, 3, 1, 1]


@pytest.mark.parametrize(
    ("d_in", "groups", "configured", "size"),
    [
        (128, 1, 128, 128),
        (130, 2, 128, 128),
        (128, 1, -1, 128),
        (128, 4, 128, 32),
        (128, 4, None, 32),
        (130, 3, 128, None),
        (130, 0, 128, None),
        (0, 0, None, None),
    ],
)
def test_group_size(d_in: int, groups: int, configured: int | None, size: int | None) -> None:
    assert group_size_of(d_in, groups, configured) == size
