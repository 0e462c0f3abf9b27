"""Intruder dimensions against NumPy's dense SVD of W + ΔW, and what cannot be looked at."""

from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from gradience.core.dominance.intruder_result import IntruderResult, Verdict
from gradience.core.dominance.intruders import IntruderPolicy, intruder_dimensions
from gradience.core.dominance.spectral_measure import MeasurePolicy

Singles = NDArray[np.float32]


class Layer(NamedTuple):
    """W, A and B."""

    weight: Singles
    a: Singles
    b: Singles


def _orthonormal(rows: int, columns: int, seed: int) -> NDArray[np.float64]:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns)))[0]


def _layer(m: int, n: int, r: int = 4) -> Layer:
    """W with values falling as a power, a random update of norm about 1."""
    kept = min(m, n)
    values = np.arange(1.0, kept + 1) ** -0.5
    weight = (_orthonormal(m, kept, 0) * values) @ _orthonormal(n, kept, 1).T
    a, b = _orthonormal(n, r, 2).T, _orthonormal(m, r, 3)
    return Layer(weight.astype(np.float32), a.astype(np.float32), b.astype(np.float32))


def _found(layer: Layer, scale: float, policy: IntruderPolicy | None = None) -> IntruderResult:
    start = np.random.default_rng(9).standard_normal(size=(layer.weight.shape[1],))
    weight, a, b = layer
    return intruder_dimensions(weight, a, b, scale, start, policy=policy)


def _dense_cosines(layer: Layer, scale: float, k: int = 10) -> NDArray[np.float64]:
    weight, a, b = (x.astype(np.float64) for x in layer)
    known = np.linalg.svd(weight, full_matrices=False)[0]
    leading = np.linalg.svd(weight + scale * b @ a, full_matrices=False)[0][:, :k]
    cosines: NDArray[np.float64] = np.abs(leading.T @ known).max(axis=1)
    return cosines


@pytest.mark.parametrize(("m", "n"), [(120, 120), (200, 80), (80, 200)])
@pytest.mark.parametrize("scale", [1e-3, 0.2, 0.5, 2.0])
def test_verdicts_are_those_of_the_dense_svd(m: int, n: int, scale: float) -> None:
    layer = _layer(m, n)
    found, expected = _found(layer, scale), _dense_cosines(layer, scale)
    assert found.n_undecided == 0
    assert found.indices == tuple(np.flatnonzero(expected < 0.5).tolist())
    assert found.n_intruders == len(found.indices)
    for direction in found.directions:
        truth = expected[direction.index]
        assert direction.cosine_lower - 1e-3 <= truth <= direction.cosine_upper + 1e-3


def test_singular_values_are_those_of_the_updated_weight() -> None:
    layer = _layer(120, 90)
    updated = layer.weight + 0.5 * layer.b @ layer.a
    expected = np.linalg.svd(updated.astype(np.float64), compute_uv=False)[:10]
    values = [direction.singular_value for direction in _found(layer, 0.5).directions]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_a_large_update_plants_as_many_intruders_as_its_rank() -> None:
    found = _found(_layer(150, 150, r=3), 4.0)
    assert found.indices == (0, 1, 2)
    assert [d.verdict for d in found.directions[:3]] == [Verdict.INTRUDER] * 3


def test_an_update_along_the_weights_own_directions_plants_none() -> None:
    layer = _layer(100, 100)
    left, _, right = np.linalg.svd(layer.weight)
    found = _found(Layer(layer.weight, right[:2], left[:, :2]), 3.0)
    assert found.n_intruders == 0
    assert {direction.verdict for direction in found.directions} == {Verdict.KNOWN}


@pytest.mark.parametrize(("cosine", "intruders"), [(0.49, 1), (0.51, 0)])
def test_both_sides_of_the_threshold(cosine: float, intruders: int) -> None:
    layer = _layer(100, 100)
    left = np.linalg.svd(layer.weight)[0].astype(np.float64)
    # All of the mass but cos² is shared out over 80 directions of small value.
    rest = left[:, 20:] @ np.full(80, np.sqrt((1 - cosine**2) / 80))
    b = (cosine * left[:, 10] + rest)[:, None].astype(np.float32)
    found = _found(Layer(layer.weight, layer.a[:1], b), 1e3, IntruderPolicy(top_k=1))
    assert found.n_intruders == intruders
    assert found.n_undecided == 0


def test_a_weight_without_directions_of_its_own_holds_any() -> None:
    layer = _layer(60, 60)
    orthogonal = _orthonormal(60, 60, 5).astype(np.float32)
    found = _found(layer._replace(weight=orthogonal), 0.5)
    assert (found.n_intruders, found.n_undecided) == (0, 0)


def test_the_layout_of_the_weight_in_memory_changes_no_verdict() -> None:
    layer = _layer(80, 60)
    stored_transposed = layer._replace(weight=np.asfortranarray(layer.weight))
    assert _found(stored_transposed, 0.5).indices == _found(layer, 0.5).indices


def test_bounds_that_do_not_decide_are_told() -> None:
    policy = IntruderPolicy(measure=MeasurePolicy(max_steps=1, looked_at_every=1))
    found = _found(_layer(120, 120), 0.5, policy)
    assert found.n_undecided
    undecided = [d for d in found.directions if d.verdict is Verdict.UNDECIDED]
    assert len(undecided) == found.n_undecided
    assert all(d.cosine_lower < 0.5 <= d.cosine_upper for d in undecided)


def test_a_weight_of_low_rank_has_fewer_directions() -> None:
    layer = _layer(40, 30, r=1)
    rank_two = np.linalg.svd(layer.weight, full_matrices=False)
    weight = (rank_two[0][:, :2] * np.float32(2.0) ** np.arange(2)) @ rank_two[2][:2]
    found = _found(Layer(weight, layer.a, layer.b), 5.0)
    assert len(found.directions) == 3
    assert found.indices == (0,)


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        (0, np.nan, "the weight holds NaN or infinite values"),
        (1, np.inf, "lora_A holds NaN or infinite values"),
        (2, -np.inf, "lora_B holds NaN or infinite values"),
    ],
)
def test_values_that_are_not_finite_are_a_reason(part: int, value: float, reason: str) -> None:
    arrays = [x.copy() for x in _layer(12, 9)]
    arrays[part][0, 0] = value
    found = _found(Layer(*arrays), 1.0)
    assert (found.n_intruders, found.n_undecided, found.reason) == (None, None, reason)


def test_an_infinite_scale_is_a_reason() -> None:
    assert _found(_layer(12, 9), np.inf).reason == "the scale is inf"


def test_a_zero_weight_is_a_reason() -> None:
    layer = _layer(12, 9)
    found = _found(layer._replace(weight=np.zeros_like(layer.weight)), 1.0)
    assert (found.n_intruders, found.reason) == (None, "the weight is zero")


def test_an_empty_weight_is_a_reason() -> None:
    empty = np.zeros((0, 5), np.float32)
    found = _found(Layer(empty, np.zeros((2, 5), np.float32), np.zeros((0, 2), np.float32)), 1.0)
    assert found.reason == "the weight is zero"


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_zero_update_has_no_intruders(scale: float) -> None:
    layer = _layer(12, 9)
    found = _found(layer._replace(b=layer.b * np.float32(scale == 0)), scale)
    assert (found.n_intruders, found.n_undecided) == (0, 0)
    assert found.reason == "the update is zero"


def test_an_iteration_that_does_not_settle_is_a_reason() -> None:
    found = _found(_layer(120, 120), 0.5, IntruderPolicy(max_iterations=12))
    assert found.n_intruders is None
    assert "did not settle in 12 iterations" in str(found.reason)


@pytest.mark.parametrize("shape", [(3, 9), (4, 8)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, int]) -> None:
    layer = _layer(12, 9)
    with pytest.raises(ValueError, match=r"expected lora_A \(r, 9\), lora_B \(12, r\)"):
        _found(layer._replace(a=np.zeros(shape, np.float32)), 1.0)


def test_inputs_are_left_alone() -> None:
    layer = _layer(30, 20)
    before = [x.copy() for x in layer]
    _found(layer, 0.5)
    assert all((x == y).all() for x, y in zip(layer, before, strict=True))


def test_the_result_is_json_that_can_be_read_back() -> None:
    found = _found(_layer(60, 50), 0.5)
    assert msgspec.json.decode(msgspec.json.encode(found), type=IntruderResult) == found
