"""Singular values from Gram matrices against the formed product."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gradience.core.spectra.grams import GramPolicy, spectrum_of_grams
from gradience.core.spectra.reduction import Route, Spectrum

Floats = NDArray[np.float64]


def of_factors(a: Floats, b: Floats) -> Spectrum | None:
    kept = min(a.shape[0], a.shape[1], b.shape[0])
    return spectrum_of_grams(a @ a.T, b.T @ b, kept)


def dense(a: Floats, b: Floats) -> Floats:
    return np.linalg.svd(b @ a, compute_uv=False)[: a.shape[0]].astype(np.float64)


@pytest.mark.parametrize(("r", "d_in", "d_out"), [(1, 5, 7), (8, 40, 30), (6, 4, 50), (6, 50, 3)])
def test_values_are_those_of_the_product(r: int, d_in: int, d_out: int) -> None:
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((r, d_in)), generator.standard_normal((d_out, r))
    found = of_factors(a, b)
    assert found is not None
    assert found.route is Route.GRAM
    np.testing.assert_allclose(found.singular_values, dense(a, b), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("grade", [1e-9, 1e9])
def test_directions_of_unequal_factors_are_told(grade: float) -> None:
    generator = np.random.default_rng(1)
    grades = np.geomspace(1, grade, 5)
    a = generator.standard_normal((5, 30)) * grades[:, None]
    b = generator.standard_normal((20, 5)) / grades
    found = of_factors(a, b)
    assert found is not None
    np.testing.assert_allclose(found.singular_values, dense(a, b), rtol=1e-6)


def test_a_factor_of_lower_rank_is_told() -> None:
    generator = np.random.default_rng(2)
    a = generator.standard_normal((6, 30))
    b = generator.standard_normal((20, 2)) @ generator.standard_normal((2, 6))
    found = of_factors(a, b)
    assert found is not None
    expected = dense(a, b)
    np.testing.assert_allclose(found.singular_values, expected, atol=3e-7 * expected[0])


def test_unused_directions_add_nothing() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.standard_normal((4, 9)), generator.standard_normal((7, 4))
    a[1], b[:, 2] = 0, 0
    found = of_factors(a, b)
    assert found is not None
    np.testing.assert_allclose(found.singular_values, dense(a, b), atol=1e-7)


def test_a_zero_factor_is_a_zero_update() -> None:
    found = of_factors(np.ones((3, 5)), np.zeros((4, 3)))
    assert found is not None
    assert found.route is Route.ZERO
    assert found.singular_values.tolist() == [0.0, 0.0, 0.0]


def test_factors_that_are_not_finite_have_no_values() -> None:
    a = np.ones((2, 5))
    a[0, 0] = np.nan
    found = of_factors(a, np.ones((4, 2)))
    assert found is not None
    assert (found.route, found.singular_values.size) == (Route.NONFINITE, 0)


def test_factors_that_cancel_are_not_told() -> None:
    a = np.array([[1.0, 0.0], [1.0, 1e-9]])
    b = np.array([[1.0, -1.0]])
    assert of_factors(a, b) is None


def test_what_is_told_depends_on_the_arithmetic() -> None:
    a = np.array([[1.0, 0.0], [1.0, 1e-2]])
    b = np.array([[1.0, -1.0]])
    assert of_factors(a, b) is not None
    assert spectrum_of_grams(a @ a.T, b.T @ b, 1, single=True) is None
    loose = GramPolicy(tolerance=10.0)
    assert spectrum_of_grams(a @ a.T, b.T @ b, 1, single=True, policy=loose) is not None


def test_inputs_are_left_as_they_are() -> None:
    gram = np.diag([1.0, 4.0])
    before = gram.copy()
    spectrum_of_grams(gram, gram, 2)
    np.testing.assert_array_equal(gram, before)


def test_squares_that_underflow_are_not_told() -> None:
    assert spectrum_of_grams(np.array([[5e-324]]), np.array([[1e308]]), 1) is None
    tiny = np.array([[1e-35]])
    assert spectrum_of_grams(tiny, tiny, 1, single=True) is None
    assert spectrum_of_grams(tiny, tiny, 1) is not None
