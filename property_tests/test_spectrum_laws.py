"""Laws of the reduction from factors to singular values."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradience.core.spectra.quantities import effective_rank, energy_rank, stable_rank
from gradience.core.spectra.reduction import ReductionPolicy, count_nonfinite, lora_spectrum
from property_tests.factors import (
    Factors,
    Floats,
    assert_close,
    dense_values,
    gaussian_factors,
    lora_factors,
    orthogonal,
    sparse_factors,
)


def _values(factors: Factors, *, exact: bool = False) -> Floats:
    return lora_spectrum(factors.a, factors.b, exact=exact).singular_values


@given(lora_factors())
def test_values_agree_with_the_dense_product(factors: Factors) -> None:
    assert_close(_values(factors), dense_values(factors))


@given(lora_factors())
def test_the_exact_route_agrees_with_the_dense_product(factors: Factors) -> None:
    assert_close(_values(factors, exact=True), dense_values(factors))


@given(lora_factors())
def test_values_are_descending_non_negative_and_finite(factors: Factors) -> None:
    found = _values(factors)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.diff(found) <= 0).all()


@given(lora_factors(), st.data())
def test_rotating_the_inner_basis_changes_nothing(factors: Factors, data: st.DataObject) -> None:
    assume(_values(factors).any())  # a product that is zero by cancellation is rounding noise
    q = data.draw(orthogonal(factors.a.shape[0]))
    rotated = Factors(q.T @ factors.a, factors.b @ q)
    assert_close(_values(rotated), _values(factors))


@given(lora_factors(), st.data())
def test_rotating_the_outputs_changes_nothing(factors: Factors, data: st.DataObject) -> None:
    q = data.draw(orthogonal(factors.b.shape[0]))
    assert_close(_values(Factors(factors.a, q @ factors.b)), _values(factors))


@given(lora_factors())
def test_transposing_the_update_changes_nothing(factors: Factors) -> None:
    assert_close(_values(Factors(factors.b.T, factors.a.T)), _values(factors))


@given(lora_factors(), st.permutations(range(12)))
def test_the_order_of_directions_does_not_matter(factors: Factors, order: list[int]) -> None:
    kept = [index for index in order if index < factors.a.shape[0]]
    assert_close(_values(Factors(factors.a[kept], factors.b[:, kept])), _values(factors))


@given(lora_factors(), st.sampled_from([-3.0, 0.5, 7e-5, -1e6]))
def test_scaling_the_update_scales_its_values(factors: Factors, c: float) -> None:
    assert_close(_values(Factors(c * factors.a, factors.b)), abs(c) * _values(factors))


@given(gaussian_factors(), st.sampled_from([-2.0, 0.25, 2.0**40, 2.0**-40]))
def test_scaling_the_update_leaves_its_ranks(factors: Factors, c: float) -> None:
    one, two = _values(factors), _values(Factors(factors.a, c * factors.b))
    assert stable_rank(one) == pytest.approx(stable_rank(two), rel=1e-9)
    assert effective_rank(one) == pytest.approx(effective_rank(two), rel=1e-9)
    assert energy_rank(one, 0.9) == energy_rank(two, 0.9)


@given(lora_factors(), st.integers(1, 500))
def test_the_size_of_blocks_does_not_matter(factors: Factors, block_elements: int) -> None:
    policy = ReductionPolicy(block_elements=block_elements)
    found = lora_spectrum(factors.a, factors.b, policy=policy).singular_values
    assert_close(found, _values(factors))


@given(factors=lora_factors(), exact=st.booleans())
def test_factors_are_not_mutated(factors: Factors, *, exact: bool) -> None:
    a, b = factors.a.copy(), factors.b.copy()
    _values(factors, exact=exact)
    count_nonfinite(factors.a)
    assert (factors.a == a).all()
    assert (factors.b == b).all()


@given(sparse_factors())
def test_rank_is_bounded_by_the_directions_in_use(factors: Factors) -> None:
    used = int(np.count_nonzero(factors.a.any(axis=1) & factors.b.any(axis=0)))
    found = _values(factors)
    assert (found[used:] <= 1e-12 * found.max(initial=0.0)).all()


@given(gaussian_factors(), st.data())
def test_every_bad_entry_is_counted(factors: Factors, data: st.DataObject) -> None:
    size = factors.a.size
    places = data.draw(st.sets(st.integers(0, size - 1), max_size=min(size, 9)))
    bad = factors.a.copy()
    bad.flat[sorted(places)] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    assert count_nonfinite(bad) == len(places)
