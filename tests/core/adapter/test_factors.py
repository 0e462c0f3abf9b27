"""From stored factors to A and B, in every form, against plain products."""

import attrs
import numpy as np
import pytest

from gradience.core.adapter.factors import UpdateFactors, difference_factors, update_factors
from gradience.core.adapter.tensors import FactorForm, TensorInfo
from tests.adapter_files import Array, factors, tensor_pair


def _updates(form: FactorForm, a: Array, b: Array, experts: int | None = None) -> list[Array]:
    pair = attrs.evolve(tensor_pair(a_shape=a.shape, b_shape=b.shape), form=form, experts=experts)
    found = list(update_factors(pair, a, b))
    assert [update.expert for update in found] == ([None] if experts is None else [*range(experts)])
    return [update.b @ update.a for update in found]


def test_matrices_are_taken_as_they_are() -> None:
    a, b = factors()
    np.testing.assert_array_equal(_updates(FactorForm.MATRICES, a, b)[0], b @ a)


def test_kernels_are_flattened() -> None:
    a, b = factors(d_in=12)
    (found,) = _updates(FactorForm.MATRICES, a.reshape(4, 3, 2, 2), b.reshape(10, 4, 1, 1))
    np.testing.assert_array_equal(found, b @ a)


def test_transposed_factors_are_turned() -> None:
    a, b = factors()
    (found,) = _updates(FactorForm.TRANSPOSED, a.T.copy(), b.T.copy())
    np.testing.assert_allclose(found, b @ a, rtol=1e-6)


def test_stacks_give_an_update_for_each_expert() -> None:
    pairs = [factors(seed=seed) for seed in range(3)]
    a, b = (np.stack(side) for side in zip(*pairs, strict=True))
    for found, (one, other) in zip(_updates(FactorForm.EXPERT_STACK, a, b, 3), pairs, strict=True):
        np.testing.assert_array_equal(found, other @ one)


def test_rows_of_experts_are_those_that_peft_multiplies() -> None:
    a, b = factors(r=15)
    expected = np.einsum("ore,eri->eoi", b.reshape(10, 5, 3), a.reshape(3, 5, 12))
    found = _updates(FactorForm.EXPERT_ROWS, a, b, 3)
    np.testing.assert_allclose(np.stack(found), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [None, (0, 2), (3,)])
def test_adaloras_values_multiply_the_kept_directions(kept: tuple[int, ...] | None) -> None:
    a, b = factors()
    values = np.array([[2.0], [0.5], [-1.0], [3.0]], dtype=np.float32)
    tensor = TensorInfo("e", (4, 1), "F32")
    pair = attrs.evolve(tensor_pair(), values=tensor, kept=kept)
    (found,) = update_factors(pair, a, b, values)
    mask = np.isin(np.arange(4), kept or range(4))
    expected = (b.astype(np.float64) * (values.ravel() * mask)) @ a.astype(np.float64)
    assert found.a.shape[0] == mask.sum()
    np.testing.assert_allclose(found.b @ found.a, expected, rtol=1e-12)


def test_a_difference_has_twice_the_rank_and_the_right_sign() -> None:
    now, before = (UpdateFactors(2, *factors(seed=seed)) for seed in (0, 1))
    found = difference_factors(now, before)
    assert (found.expert, found.a.shape, found.b.shape) == (2, (8, 12), (10, 8))
    assert found.a.dtype == found.b.dtype == np.float64
    expected = [
        update.b.astype(np.float64) @ update.a.astype(np.float64) for update in (now, before)
    ]
    np.testing.assert_allclose(found.b @ found.a, expected[0] - expected[1], rtol=1e-12, atol=1e-12)


def test_nothing_is_mutated() -> None:
    a, b = factors()
    values = np.ones((4, 1), np.float32)
    copies = a.copy(), b.copy(), values.copy()
    pair = attrs.evolve(tensor_pair(), values=TensorInfo("e", (4, 1), "F32"), kept=(1,))
    (found,) = update_factors(pair, a, b, values)
    difference_factors(found, found)
    for array, copy in zip((a, b, values), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
