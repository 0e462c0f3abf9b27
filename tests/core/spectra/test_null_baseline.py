"""The null baseline against dense simulation and against quantities drawn one by one."""

import re

import attrs
import numpy as np
import pytest

from gradience.core.spectra.null_baseline import (
    NULL_METHOD,
    DrawsPolicy,
    Floats,
    NullBaseline,
    NullDraws,
    compare_with_null,
    degrees_of_freedom,
    entries_below,
    null_baseline,
    stand_out,
)
from gradience.core.spectra.quantities import effective_rank, energy_rank, stable_rank


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _draws(r: int, d_out: int, d_in: int, count: int, seed: int = 0) -> NullDraws:
    generator = np.random.default_rng(seed)

    def chis(d: int) -> Floats:
        degrees = degrees_of_freedom(r, d)
        return np.sqrt(generator.chisquare(degrees, (count, degrees.size)))

    return NullDraws(
        normals_a=generator.standard_normal((count, entries_below(r, d_in))),
        chis_a=chis(d_in),
        normals_b=generator.standard_normal((count, entries_below(r, d_out))),
        chis_b=chis(d_out),
    )


def _baseline(r: int, d_out: int, d_in: int, count: int, seed: int = 0) -> NullBaseline:
    return null_baseline(r, d_out, d_in, _draws(r, d_out, d_in, count, seed))


def _dense(r: int, d_out: int, d_in: int, count: int) -> Floats:
    """Singular values of formed products of Gaussian factors, one spectrum a row."""
    generator = np.random.default_rng(1)
    a = generator.standard_normal((count, r, d_in))
    b = generator.standard_normal((count, d_out, r))
    values = np.linalg.svd(b @ a, compute_uv=False)
    return values[:, : min(r, d_out, d_in)].astype(np.float64)


@pytest.mark.parametrize(
    ("r", "d_out", "d_in"), [(4, 24, 10), (6, 6, 6), (8, 5, 20), (8, 20, 5), (9, 4, 3), (3, 1, 7)]
)
def test_the_null_is_what_dense_simulation_gives(r: int, d_out: int, d_in: int) -> None:
    count = 3000
    found, dense = _baseline(r, d_out, d_in, count), _dense(r, d_out, d_in, count)
    for quantity, observed in (
        (found.stable_rank, [stable_rank(values) for values in dense]),
        (found.effective_rank, [effective_rank(values) for values in dense]),
        (found.energy_rank_90, [energy_rank(values, 0.90) for values in dense]),
        (found.energy_rank_95, [energy_rank(values, 0.95) for values in dense]),
        (found.energy_rank_99, [energy_rank(values, 0.99) for values in dense]),
    ):
        expected = np.array(observed, dtype=np.float64)
        five_errors = 5 * np.sqrt(2.0) * expected.std() / np.sqrt(count)
        assert quantity.mean == pytest.approx(expected.mean(), abs=five_errors + 1e-12)
        assert quantity.sd == pytest.approx(expected.std(), rel=0.15, abs=0.01)
        assert quantity.sem == pytest.approx(quantity.sd / np.sqrt(count), rel=1e-12)
    shares = dense**2 / (dense**2).sum(axis=1, keepdims=True)
    for level, quantile in (
        (0.05, found.share_p05),
        (0.5, found.share_p50),
        (0.95, found.share_p95),
    ):
        assert np.allclose(quantile, np.quantile(shares, level, axis=0), atol=0.02)


def test_quantities_are_those_of_the_products_drawn() -> None:
    r, d_out, d_in = 5, 9, 7
    draws = _draws(r, d_out, d_in, 2)
    below = np.tril_indices(r, -1)
    spectra = []
    for index in range(2):
        root_a, root_b = np.diag(draws.chis_a[index]), np.diag(draws.chis_b[index])
        root_a[below], root_b[below] = draws.normals_a[index], draws.normals_b[index]
        spectra.append(np.linalg.svd(root_b.T @ root_a, compute_uv=False).astype(np.float64))
    found = null_baseline(r, d_out, d_in, draws)
    stable = [_known(stable_rank(values)) for values in spectra]
    assert found.stable_rank.mean == pytest.approx(sum(stable) / 2, rel=1e-12)
    assert found.stable_rank.sd == pytest.approx(abs(stable[0] - stable[1]) / np.sqrt(2), rel=1e-9)
    effective = [_known(effective_rank(values)) for values in spectra]
    assert found.effective_rank.mean == pytest.approx(sum(effective) / 2, rel=1e-12)


@pytest.mark.parametrize(("r", "d_out", "d_in"), [(1, 40, 30), (4, 1, 30), (4, 30, 1)])
def test_a_single_direction_is_exactly_one_without_spread(r: int, d_out: int, d_in: int) -> None:
    found = _baseline(r, d_out, d_in, 20)
    for quantity in (found.stable_rank, found.effective_rank, found.energy_rank_99):
        assert quantity == (1.0, 0.0, 0.0)
    assert found.share_p05 == found.share_p95 == (1.0,)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"chis_a": np.ones((20, 2))}, r"\(20, 2\)"),
        ({"normals_b": np.ones((20, 1))}, r"\(20, 1\)"),
        ({"normals_a": np.ones((3, 3)), "chis_a": np.ones((3, 3))}, "3 and 20"),
        ({"normals_a": np.zeros((20, 3)), "chis_a": np.zeros((20, 3))}, "a zero update"),
    ],
)
def test_draws_that_do_not_fit_are_refused(change: dict[str, Floats], found: str) -> None:
    draws = _draws(3, 5, 6, 20)
    with pytest.raises(ValueError, match=f"expected .* found .*{found}"):
        null_baseline(3, 5, 6, attrs.evolve(draws, **change))


def test_one_draw_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        _baseline(3, 5, 6, 1)


@pytest.mark.parametrize("shape", [(0, 4, 4), (2, 0, 4), (2, 4, 0)])
def test_empty_shapes_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="of at least 1"):
        null_baseline(*shape, _draws(2, 4, 4, 20))


def test_standing_out_counts_standard_deviations() -> None:
    assert stand_out(2.0, 5.0, 1.5) == -2.0
    assert stand_out(1.0, 1.0, 0.0) is None


def test_a_dominated_spectrum_stands_far_below_the_null() -> None:
    baseline = _baseline(8, 60, 80, 200)
    found = compare_with_null(np.array([10.0, *[0.1] * 7]), baseline)
    assert found is not None
    observed = 1 + 7 * 0.01**2
    assert found.stable_rank_null == baseline.stable_rank.mean
    assert found.effective_rank_null == baseline.effective_rank.mean
    assert found.energy_rank_90_null == baseline.energy_rank_90.mean
    assert found.utilization_null == pytest.approx(baseline.stable_rank.mean / 8)
    assert found.utilization_vs_null == pytest.approx(observed / baseline.stable_rank.mean)
    expected = (observed - baseline.stable_rank.mean) / baseline.stable_rank.sd
    assert found.stable_rank_z == pytest.approx(expected)
    assert _known(found.stable_rank_z) < -5
    assert _known(found.effective_rank_z) < -5


def test_noise_does_not_stand_out() -> None:
    baseline = _baseline(8, 40, 50, 400)
    found = [compare_with_null(values, baseline) for values in _dense(8, 40, 50, 200)]
    z = [_known(one.stable_rank_z) for one in found if one is not None]
    assert abs(float(np.mean(z))) < 0.5
    assert 0.8 < float(np.std(z)) < 1.25


def test_nothing_compares_with_a_zero_update_and_rank_one_has_no_z() -> None:
    assert compare_with_null(np.zeros(4), _baseline(4, 9, 9, 20)) is None
    found = compare_with_null(np.array([3.0]), _baseline(1, 9, 9, 20))
    assert found is not None
    assert (found.stable_rank_z, found.effective_rank_z) == (None, None)
    assert (found.utilization_null, found.utilization_vs_null) == (1.0, 1.0)


def test_the_method_tells_the_policys_numbers_of_draws() -> None:
    numbers = {int(draws): int(r) for draws, r in re.findall(r"(\d+)[^.,]*? r=(\d+)", NULL_METHOD)}
    assert numbers == {200: 44, 97: 64, 20: 139}
    policy = DrawsPolicy()
    assert [policy.draws_for(r) for r in numbers.values()] == list(numbers)
    assert policy.draws_for(45) < 200
    assert policy.draws_for(138) > 20


def test_draws_stay_within_the_policys_bounds() -> None:
    policy = DrawsPolicy(entries=1000, most=50, least=5)
    assert [policy.draws_for(r) for r in (1, 5, 10, 500)] == [50, 40, 10, 5]
