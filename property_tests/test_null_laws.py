"""Laws of the null baseline."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.spectra.null_baseline import (
    NullBaseline,
    NullDraws,
    compare_with_null,
    degrees_of_freedom,
    entries_below,
    null_baseline,
)
from property_tests.factors import SEEDS, Floats, spectra

COUNT = 12


@st.composite
def _shapes(draw: st.DrawFn) -> tuple[int, int, int]:
    dimensions = st.integers(1, 30)
    return draw(st.integers(1, 12)), draw(dimensions), draw(dimensions)


def _draws(shape: tuple[int, int, int], seed: int) -> NullDraws:
    r, d_out, d_in = shape
    generator = np.random.default_rng(seed)
    degrees_a, degrees_b = degrees_of_freedom(r, d_in), degrees_of_freedom(r, d_out)
    return NullDraws(
        normals_a=generator.standard_normal((COUNT, entries_below(r, d_in))),
        chis_a=np.sqrt(generator.chisquare(degrees_a, (COUNT, degrees_a.size))),
        normals_b=generator.standard_normal((COUNT, entries_below(r, d_out))),
        chis_b=np.sqrt(generator.chisquare(degrees_b, (COUNT, degrees_b.size))),
    )


def _means(found: NullBaseline) -> list[float]:
    quantities = (found.stable_rank, found.effective_rank)
    return [quantity.mean for quantity in quantities] + [*found.share_p05, *found.share_p95]


@given(_shapes(), SEEDS)
def test_quantities_lie_where_those_of_any_spectrum_lie(
    shape: tuple[int, int, int], seed: int
) -> None:
    found = null_baseline(*shape, _draws(shape, seed))
    energy = [found.energy_rank_90, found.energy_rank_95, found.energy_rank_99]
    order = [1.0, found.stable_rank.mean, found.effective_rank.mean, float(min(shape))]
    assert all(one <= two * (1 + 1e-12) for one, two in pairwise(order))
    assert all(one.mean <= two.mean for one, two in pairwise(energy))
    assert all(1 <= rank.mean <= min(shape) for rank in energy)


@given(_shapes(), SEEDS)
def test_share_quantiles_are_ordered_and_fall(shape: tuple[int, int, int], seed: int) -> None:
    found = null_baseline(*shape, _draws(shape, seed))
    low, median, high = (np.array(q) for q in (found.share_p05, found.share_p50, found.share_p95))
    assert low.size == median.size == high.size == min(shape)
    assert (low <= median).all()
    assert (median <= high).all()
    for quantile in (low, median, high):
        assert (np.diff(quantile) <= 1e-15).all()
        assert (quantile >= 0).all()
        assert (quantile <= 1).all()


@given(_shapes(), SEEDS)
def test_swapping_the_factors_transposes_and_changes_nothing(
    shape: tuple[int, int, int], seed: int
) -> None:
    r, d_out, d_in = shape
    draws = _draws(shape, seed)
    swapped = NullDraws(
        normals_a=draws.normals_b,
        chis_a=draws.chis_b,
        normals_b=draws.normals_a,
        chis_b=draws.chis_a,
    )
    one, two = null_baseline(*shape, draws), null_baseline(r, d_in, d_out, swapped)
    assert _means(one) == pytest.approx(_means(two), rel=1e-9, abs=1e-12)


@given(_shapes(), SEEDS, st.integers(-40, 40))
def test_the_scale_of_the_entries_cancels(
    shape: tuple[int, int, int], seed: int, power: int
) -> None:
    draws, scale = _draws(shape, seed), 2.0**power
    scaled = NullDraws(
        normals_a=scale * draws.normals_a,
        chis_a=scale * draws.chis_a,
        normals_b=draws.normals_b,
        chis_b=draws.chis_b,
    )
    one, two = null_baseline(*shape, draws), null_baseline(*shape, scaled)
    assert _means(one) == pytest.approx(_means(two), rel=1e-9, abs=1e-12)


@given(spectra(), SEEDS, st.integers(-40, 40))
def test_comparisons_do_not_depend_on_scale(sigma: Floats, seed: int, power: int) -> None:
    shape = (sigma.size, 30, 40)
    baseline = null_baseline(*shape, _draws(shape, seed))
    one, two = (compare_with_null(c * sigma, baseline) for c in (1.0, 2.0**power))
    assert one is not None
    assert one == two
