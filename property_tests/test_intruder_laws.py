"""Laws of intruder dimensions: bounds that hold, verdicts that agree with a dense SVD."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradience.core.dominance.bidiagonalisation import matrix_map
from gradience.core.dominance.intruder_result import IntruderResult, Verdict
from gradience.core.dominance.intruders import intruder_dimensions
from gradience.core.dominance.spectral_measure import atom_bounds
from property_tests.factors import SEEDS

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class Layer(NamedTuple):
    """W, A, B and the scale."""

    weight: Singles
    a: Singles
    b: Singles
    scale: float


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """Gaussian, outlier and graded weights; updates from 1e-3 to ten times their size."""
    m, n, r = draw(st.integers(2, 60)), draw(st.integers(2, 60)), draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(SEEDS))
    weight = generator.standard_normal((m, n))
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    factors = {
        "gaussian": np.ones(values.size),
        "outlier": np.where(np.arange(values.size) < 3, 10.0, 1.0),
        "graded": np.arange(1.0, values.size + 1) ** -1.5,
    }
    values = values * factors[draw(st.sampled_from(sorted(factors)))]
    weight = (left * values) @ right
    a, b = generator.standard_normal((r, n)), generator.standard_normal((m, r))
    relative = 10.0 ** draw(st.floats(-3, 1))
    scale = float(relative * values[0] / np.linalg.norm(b @ a, 2))
    single = weight.astype(np.float32)
    return Layer(single, a.astype(np.float32), b.astype(np.float32), scale)


def _found(layer: Layer) -> IntruderResult:
    start = np.random.default_rng(5).standard_normal(size=(layer.weight.shape[1],))
    weight, a, b, scale = layer
    return intruder_dimensions(weight, a, b, scale, start)


@given(layers())
def test_bounds_hold_the_cosine_of_the_dense_svd(layer: Layer) -> None:
    weight, a, b = (x.astype(np.float64) for x in layer[:3])
    left, base_values, _ = np.linalg.svd(weight, full_matrices=False)
    cut = 0.01 * np.sqrt(np.mean(base_values**2))
    updated = weight + layer.scale * b @ a
    found = _found(layer)
    assert found.reason is None
    vectors, values, _ = np.linalg.svd(updated, full_matrices=False)
    for direction in found.directions:
        i = direction.index
        gap = np.min(np.abs(np.delete(values, i) - values[i]), initial=np.inf)
        if gap < 1e-3 * values[0]:
            continue  # A vector between two such values is any mixture of them.
        cosines = np.abs(vectors[:, i] @ left)
        large = float(np.max(cosines[base_values > 1.01 * cut]))
        assert direction.singular_value == pytest.approx(values[i], rel=1e-3)
        assert direction.cosine_lower - 0.01 <= cosines.max()
        assert large <= direction.cosine_upper + 0.01


@given(layers())
def test_verdicts_follow_the_bounds_and_counts_the_verdicts(layer: Layer) -> None:
    found = _found(layer)
    verdicts = [direction.verdict for direction in found.directions]
    assert len(verdicts) <= 10
    assert found.n_intruders == len(found.indices) == verdicts.count(Verdict.INTRUDER)
    assert found.n_undecided == verdicts.count(Verdict.UNDECIDED)
    for direction in found.directions:
        assert 0 <= direction.cosine_lower <= direction.cosine_upper <= 1 + 1e-6
        assert (direction.verdict is Verdict.INTRUDER) == (direction.cosine_upper < 0.5)
        assert (direction.verdict is Verdict.KNOWN) == (direction.cosine_lower >= 0.5)


@given(layers(), st.sampled_from([1e-6, 1e6]))
def test_scaling_weight_and_update_together_changes_no_verdict(layer: Layer, c: float) -> None:
    scaled = layer._replace(weight=(c * layer.weight).astype(np.float32), scale=c * layer.scale)
    before, after = _found(layer), _found(scaled)
    for x, y in zip(before.directions, after.directions, strict=True):
        decided = abs(x.cosine_upper - 0.5) > 0.02 and abs(x.cosine_lower - 0.5) > 0.02
        assert x.verdict == y.verdict or not decided


@given(st.integers(2, 60), st.integers(1, 60), SEEDS)
def test_the_measures_bounds_hold_for_any_vector(m: int, n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((m, n))
    vector = generator.standard_normal(m) ** 3
    vector /= np.linalg.norm(vector)
    left, values, _ = np.linalg.svd(weight, full_matrices=False)
    typical = float(np.sqrt(np.mean(values**2)))
    cosines: Floats = np.abs(left.T @ vector)[values > 1e-2 * typical]
    for bounds in atom_bounds(matrix_map(weight), vector, typical):
        assert bounds.upper >= cosines.max() - 1e-6
        assert bounds.lower <= bounds.upper
    assert bounds.upper == pytest.approx(cosines.max(), abs=1e-6)
