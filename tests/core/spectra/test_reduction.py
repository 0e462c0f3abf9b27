"""The reduction to r × r: routes, dtypes, refusals; the laws are in property_tests."""

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from gradience.core.spectra.gram import Factor, row_gram
from gradience.core.spectra.reduction import (
    ReductionPolicy,
    Route,
    count_nonfinite,
    lora_spectrum,
)
from tests.adapter_files import factors
from tests.dense_oracle import RawModule, assert_same_values, dense_singular_values


def _dense(a: Factor, b: Factor) -> NDArray[np.float64]:
    return dense_singular_values(
        RawModule("", np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), 1.0)
    )


@pytest.mark.parametrize("shape", [(1, 9, 7), (4, 300, 200), (8, 768, 6), (6, 5, 40), (5, 4, 3)])
@pytest.mark.parametrize("exact", [False, True])
def test_values_are_those_of_the_product(shape: tuple[int, int, int], *, exact: bool) -> None:
    a, b = factors(*shape)
    found = lora_spectrum(a, b, exact=exact).singular_values
    assert found.shape == (min(shape),)
    assert_same_values(found, _dense(a, b))


@pytest.mark.parametrize(
    "dtype",
    [np.float16, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2],
)
def test_every_float_dtype_is_widened_exactly(dtype: DTypeLike) -> None:
    a, b = (factor.astype(dtype) for factor in factors())
    assert_same_values(lora_spectrum(a, b).singular_values, _dense(a, b))


def test_a_well_conditioned_update_takes_the_gram_route() -> None:
    assert lora_spectrum(*factors()).route is Route.GRAM
    assert lora_spectrum(*factors(), exact=True).route is Route.QR


def test_a_rank_deficient_update_falls_back_to_qr() -> None:
    a, b = factors()
    a[3] = a[2]
    spectrum = lora_spectrum(a, b)
    assert spectrum.route is Route.QR
    assert spectrum.singular_values[3] < 1e-14 * spectrum.singular_values[0]


@pytest.mark.parametrize("zero", [0, 1])
def test_a_zero_factor_gives_exact_zeros(zero: int) -> None:
    pair = factors()
    pair[zero][:] = 0
    spectrum = lora_spectrum(*pair)
    assert spectrum.route is Route.ZERO
    assert spectrum.singular_values.tolist() == [0.0] * 4


def test_opposite_zero_halves_give_zeros() -> None:
    a, b = factors()
    a[:2] = 0
    b[:, 2:] = 0
    assert not lora_spectrum(a, b).singular_values.any()


def test_unbalanced_directions_are_not_lost() -> None:
    a, b = (factor.astype(np.float64) for factor in factors())
    scale = np.array([1e12, 1.0, 1e-12, 1e-3])
    found = lora_spectrum(a * scale[:, None], b / scale)
    assert_same_values(found.singular_values, _dense(a, b))


def test_denormal_gram_entries_do_not_cost_digits() -> None:
    a, b = (factor.astype(np.float64) * 1e-161 for factor in factors())
    expected = _dense(a * 1e161, b * 1e161)
    assert_same_values(lora_spectrum(a, b * 1e161).singular_values * 1e161, expected)


@pytest.mark.parametrize("shapes", [((4, 9), (7, 3)), ((4,), (7, 4)), ((4, 9, 1), (7, 4))])
def test_shapes_that_do_not_multiply_are_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="expected lora_A"):
        lora_spectrum(np.ones(shapes[0]), np.ones(shapes[1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("side", [0, 1])
def test_a_value_that_is_not_finite_leaves_no_spectrum(
    bad: float, side: int, *, exact: bool
) -> None:
    pair = factors()
    pair[side][1, 2] = bad
    found = lora_spectrum(*pair, exact=exact)
    assert (found.route, found.singular_values.size) == (Route.NONFINITE, 0)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_a_nan_of_a_small_dtype_leaves_no_spectrum(dtype: DTypeLike) -> None:
    a, b = (factor.astype(dtype) for factor in factors())
    b[3, 3] = np.nan
    assert lora_spectrum(a, b).route is Route.NONFINITE


def test_a_nan_beside_a_zero_factor_is_not_called_untrained() -> None:
    a, b = factors()
    a[0, 0], b[:] = np.nan, 0
    assert lora_spectrum(a, b).route is Route.NONFINITE


def test_squares_that_overflow_are_no_infinite_values() -> None:
    a, b = (factor.astype(np.float64) for factor in factors())
    found = lora_spectrum(a * 1e160, b)
    assert found.route is Route.QR
    assert_same_values(found.singular_values / 1e160, _dense(a, b))


@pytest.mark.parametrize("exact", [False, True])
def test_a_gram_of_ones_own_is_used_unless_exact(*, exact: bool) -> None:
    seen: list[tuple[int, ...]] = []

    def gram(rows: Factor) -> NDArray[np.float64]:
        seen.append(rows.shape)
        return row_gram(rows)

    a, b = factors()
    found = lora_spectrum(a, b, exact=exact, gram=gram)
    assert seen == ([] if exact else [(4, 12), (4, 10)])
    assert_same_values(found.singular_values, _dense(a, b))


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-9, 1e-12])
@pytest.mark.parametrize("exact", [False, True])
def test_graded_directions_keep_the_tolerances(gap: float, *, exact: bool) -> None:
    a, b = (factor.astype(np.float64) for factor in factors(r=3))
    a[2] = a[1] + gap * a[2]
    assert_same_values(lora_spectrum(a, b, exact=exact).singular_values, _dense(a, b))


def test_nonfinite_entries_are_counted_in_either_orientation() -> None:
    a, b = factors()
    a[0, 0], a[3, 11], b[9, 0] = np.nan, np.inf, -np.inf
    small_blocks = ReductionPolicy(block_elements=8)
    assert (count_nonfinite(a), count_nonfinite(b)) == (2, 1)
    assert (count_nonfinite(a, small_blocks), count_nonfinite(b, small_blocks)) == (2, 1)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_signalling_nans_are_counted_without_a_warning(dtype: DTypeLike) -> None:
    a = factors()[0].astype(dtype)
    bits = a.view(np.uint16 if a.itemsize == 2 else np.uint32)
    bits[1, 1] = 0x7F81 << (8 * (a.itemsize - 2))
    assert count_nonfinite(a) == 1
    assert lora_spectrum(a, factors()[1]).route is Route.NONFINITE


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_empty_factors_have_no_bad_entry(shape: tuple[int, int]) -> None:
    assert count_nonfinite(np.zeros(shape)) == 0


def test_an_adapter_of_rank_zero_has_no_values() -> None:
    assert lora_spectrum(np.zeros((0, 5)), np.zeros((6, 0))).singular_values.size == 0
