"""X·Xᵀ in blocks: every dtype, memory order and block size against one plain product."""

from collections.abc import Callable, Mapping

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import DTypeLike

from gradience.core.spectra.gram import Factor, row_gram, wide_blocks
from tests.adapter_files import Array, factors

DTYPES = [
    np.float64,
    np.float32,
    np.float16,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
]


def _rows(dtype: DTypeLike = np.float32, length: int = 37) -> Factor:
    return factors(r=5, d_in=length)[0].astype(dtype)


def _unaligned(rows: Array) -> Array:
    data = b"x" + np.ascontiguousarray(rows).tobytes()
    flat = np.frombuffer(data, rows.dtype, rows.size, 1)
    return flat.reshape(rows.shape)


VIEWS: Mapping[str, Callable[[Array], Array]] = {
    "by_row": lambda rows: rows,
    "by_column": np.asfortranarray,
    "transposed": lambda rows: np.ascontiguousarray(rows.T).T,
    "every_other": lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
    "reversed": lambda rows: rows[::-1][::-1],
    "unaligned": _unaligned,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("block_elements", [1, 16, 10**6])
def test_the_gram_is_that_of_the_widened_rows(
    dtype: DTypeLike, view: str, block_elements: int
) -> None:
    rows = _rows(dtype)
    wide = rows.astype(np.float64)
    found = row_gram(VIEWS[view](rows), block_elements)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wide @ wide.T, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("block_elements", [1, 16, 10**6])
def test_blocks_hold_every_value_exactly_once(dtype: DTypeLike, block_elements: int) -> None:
    rows = _rows(dtype)
    blocks = [block.copy() for block in wide_blocks(rows, block_elements)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), rows.astype(np.float64))
    assert all(block.size <= max(block_elements, 5) for block in blocks)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2]
)
def test_bad_values_show_on_the_diagonal_without_a_warning(bad: float, dtype: DTypeLike) -> None:
    rows = _rows(dtype)
    rows[3, 30] = bad
    finite = np.isfinite(np.diag(row_gram(rows, 16)))
    assert finite.tolist() == [True, True, True, False, True]


def test_bfloat16_keeps_its_special_values() -> None:
    bits = np.arange(2**16, dtype=np.uint16).view(ml_dtypes.bfloat16).reshape(1, -1)
    with np.errstate(invalid="ignore"):  # among them are signalling NaNs
        wide = np.concatenate([block.copy() for block in wide_blocks(bits, 1000)], axis=1)
        expected = bits.astype(np.float64)
    np.testing.assert_array_equal(wide, expected)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_empty_factors_have_an_empty_or_zero_gram(shape: tuple[int, int]) -> None:
    found = row_gram(np.zeros(shape))
    assert found.shape == (shape[0], shape[0])
    assert not found.any()


def test_rows_are_not_mutated() -> None:
    rows = _rows()
    before = rows.copy()
    rows.flags.writeable = False
    row_gram(rows, 16)
    np.testing.assert_array_equal(rows, before)
