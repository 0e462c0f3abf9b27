"""Strategies for LoRA factors and spectra: wide shapes, graded, deficient, tiny and huge."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Factors(NamedTuple):
    """lora_A (r, d_in) and lora_B (d_out, r)."""

    a: Floats
    b: Floats


SEEDS = st.integers(0, 2**32 - 1)
MAGNITUDES = st.sampled_from([1e-30, 1e-9, 1e-3, 1.0, 1e4, 1e12, 1e30])


def shapes() -> st.SearchStrategy[tuple[int, int, int]]:
    """(r, d_in, d_out), ranks above the dimensions included."""
    return st.tuples(st.integers(1, 12), st.integers(1, 80), st.integers(1, 80))


@st.composite
def gaussian_factors(draw: st.DrawFn) -> Factors:
    """Well-conditioned factors of any magnitude."""
    r, d_in, d_out = draw(shapes())
    generator = np.random.default_rng(draw(SEEDS))
    a = generator.standard_normal((r, d_in)) * draw(MAGNITUDES)
    return Factors(a, generator.standard_normal((d_out, r)) * draw(MAGNITUDES))


@st.composite
def graded_factors(draw: st.DrawFn) -> Factors:
    """Directions whose sizes fall to 1e-8 of the largest."""
    a, b = draw(gaussian_factors())
    steps = st.lists(st.floats(-8, 0), min_size=a.shape[0], max_size=a.shape[0])
    grades = 10.0 ** np.array(draw(steps))
    return Factors(a * grades[:, None], b) if draw(st.booleans()) else Factors(a, b * grades)


@st.composite
def deficient_factors(draw: st.DrawFn) -> Factors:
    """The rank of A, B or both is below r, exactly or to rounding."""
    a, b = draw(gaussian_factors())
    generator = np.random.default_rng(draw(SEEDS))
    rank = draw(st.integers(1, a.shape[0]))
    mix = generator.standard_normal((a.shape[0], rank))
    if draw(st.booleans()):
        mix = np.eye(a.shape[0])[:, generator.integers(0, a.shape[0], size=rank)]
    return Factors(mix @ a[:rank], b)


@st.composite
def sparse_factors(draw: st.DrawFn) -> Factors:
    """Some rows of A and columns of B are zero, perhaps all."""
    a, b = draw(gaussian_factors())
    keep = st.lists(st.booleans(), min_size=a.shape[0], max_size=a.shape[0])
    return Factors(a * np.array(draw(keep))[:, None], b * np.array(draw(keep)))


@st.composite
def single_precision_factors(draw: st.DrawFn) -> Factors:
    """Any of the others, rounded to float32 (its values, in float64)."""
    a, b = draw(st.one_of(gaussian_factors(), graded_factors(), sparse_factors()))
    return Factors(_rounded(a), _rounded(b))


def lora_factors() -> st.SearchStrategy[Factors]:
    """All kinds."""
    return st.one_of(
        gaussian_factors(),
        graded_factors(),
        deficient_factors(),
        sparse_factors(),
        single_precision_factors(),
    )


@st.composite
def spectra(draw: st.DrawFn) -> Floats:
    """Descending singular values: graded, equal, deficient, of any magnitude; the first is > 0."""
    kinds = st.one_of(st.floats(1e-8, 1.0), st.sampled_from([0.0, 0.5, 1.0]))
    values = np.array([1.0, *draw(st.lists(kinds, max_size=20))])
    return np.sort(values)[::-1] * draw(MAGNITUDES)


@st.composite
def orthogonal(draw: st.DrawFn, size: int) -> Floats:
    """A random orthogonal matrix."""
    generator = np.random.default_rng(draw(SEEDS))
    q, _ = np.linalg.qr(generator.standard_normal((size, size)))
    return q.astype(np.float64)


def dense_values(factors: Factors) -> Floats:
    """Singular values of the formed product, min(r, d_in, d_out) of them."""
    kept = min(*factors.a.shape, factors.b.shape[0])
    return np.linalg.svd(factors.b @ factors.a, compute_uv=False)[:kept].astype(np.float64)


def assert_close(found: Floats, expected: Floats) -> None:
    """Within 3e-8 σ₁, and within 1e-6 relative above 1e-4 σ₁."""
    assert found.shape == expected.shape
    top = expected.max(initial=0.0)
    assert (np.abs(found - expected) <= 3e-8 * top).all()
    large = expected > 1e-4 * top
    assert (np.abs(found - expected)[large] <= 1e-6 * expected[large]).all()


def _rounded(factor: Floats) -> Floats:
    return factor.astype(np.float32).astype(np.float64)
