"""Laws of the spectral norm by Lanczos, on random, low-rank, outlier and clustered spectra."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradience.core.dominance.spectral_norm import SpectralNorm, spectral_norm
from property_tests.factors import SEEDS

Floats = NDArray[np.float64]


def _values(kind: str, size: int, generator: np.random.Generator) -> Floats:
    if kind == "low_rank":
        return np.where(np.arange(size) < 3, generator.uniform(1, 2, size), 0.0)
    if kind == "outlier":
        return np.concatenate([[100.0], generator.uniform(0, 1, size - 1)])
    if kind == "clustered":
        return 1.0 - 10.0 ** generator.uniform(-10, -3, size)
    return 10.0 ** generator.uniform(-8, 0, size)


SEPARATED = ("random", "low_rank", "outlier", "graded")
ALL = (*SEPARATED, "clustered")


@st.composite
def matrices(draw: st.DrawFn, kinds: tuple[str, ...] = SEPARATED) -> Floats:
    """Of 1 to 60 rows and columns."""
    m, n = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(SEEDS))
    kind = draw(st.sampled_from(kinds))
    if kind == "random":
        return generator.standard_normal((m, n))
    size = min(m, n)
    left, _ = np.linalg.qr(generator.standard_normal((m, size)))
    right, _ = np.linalg.qr(generator.standard_normal((n, size)))
    product: Floats = (left * _values(kind, size, generator)) @ right.T
    return product


def _norm(weight: Floats | NDArray[np.float32]) -> SpectralNorm:
    start = np.random.default_rng(3).standard_normal(size=(weight.shape[1],))
    return spectral_norm(weight, start)


@given(matrices())
def test_the_norm_is_that_of_the_full_svd(weight: Floats) -> None:
    found = _norm(weight)
    assert found.converged
    assert found.value == pytest.approx(float(np.linalg.norm(weight, 2)), rel=1e-6)


@given(matrices())
def test_single_precision_gives_the_same_norm(weight: Floats) -> None:
    single = weight.astype(np.float32)
    expected = float(np.linalg.norm(single.astype(np.float64), 2))
    assert _norm(single).value == pytest.approx(expected, rel=1e-6)


@given(matrices())
def test_transposing_changes_nothing(weight: Floats) -> None:
    assert _norm(weight.T).value == pytest.approx(_norm(weight).value, rel=1e-6)


@given(matrices(), st.sampled_from([-1e6, 1e-6, 3.0]))
def test_the_norm_is_homogeneous(weight: Floats, c: float) -> None:
    assert _norm(c * weight).value == pytest.approx(abs(c) * _norm(weight).value, rel=1e-6)


@given(matrices(kinds=ALL))
def test_values_closer_than_the_tolerance_are_told_apart_to_four_digits(weight: Floats) -> None:
    expected = float(np.linalg.norm(weight, 2))
    assert _norm(weight).value == pytest.approx(expected, rel=1e-4)


@given(st.integers(1, 20), st.floats(-4, -1), SEEDS)
def test_the_largest_of_a_group_of_close_values_is_found(
    others: int, exponent: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    group = 1.0 - 10.0**exponent * generator.uniform(1, 2, others)
    values = np.concatenate([[1.0], group, generator.uniform(0, 0.5, 39 - others)])
    right, _ = np.linalg.qr(generator.standard_normal((40, 40)))
    found = spectral_norm(values[:, None] * right.T, generator.standard_normal(40))
    assert found.value == pytest.approx(1.0, rel=1e-4)


@given(matrices())
def test_the_norm_is_between_the_longest_column_and_the_frobenius_norm(weight: Floats) -> None:
    found = _norm(weight).value
    longest = float(np.linalg.norm(weight, axis=0).max())
    assert longest * (1 - 1e-6) <= found <= float(np.linalg.norm(weight)) * (1 + 1e-6)
