"""Base weights put together from stored arrays."""

from collections.abc import Mapping

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.checkpoint.assembly import assemble, oriented, to_float32
from gradience.core.checkpoint.fused_projections import Rows
from gradience.core.checkpoint.recipe import WeightPart, WeightRecipe
from gradience.core.checkpoint.stored_weights import StoredWeight
from gradience.core.quantisation.stored import QuantisedWeight

Matrix = NDArray[np.float32]
RNG = np.random.default_rng(0)


def values(*shape: int) -> Matrix:
    """Gaussian float32."""
    return RNG.standard_normal(shape).astype(np.float32)


def stored(name: str, array: Matrix) -> StoredWeight:
    """A plain weight of an array's shape."""
    return StoredWeight(name, TensorInfo(name, array.shape, "F32"))


def assembled(
    recipe: WeightRecipe, update: tuple[int, int], arrays: Mapping[str, Matrix]
) -> Matrix:
    """The weight of a recipe that has one."""
    found = assemble(recipe, update, lambda weight: arrays[weight.path])
    assert not isinstance(found, str)
    assert found.dtype == np.float32
    return found


A, B, C = values(4, 6), values(2, 6), values(2, 6)
STACK = values(3, 6, 8)


def test_a_single_float32_part_is_not_copied() -> None:
    found = assembled(WeightRecipe((WeightPart(stored("a", A)),)), (4, 6), {"a": A})
    assert np.shares_memory(found, A)
    np.testing.assert_array_equal(found, A)


def test_rows_are_a_slice() -> None:
    part = WeightPart(stored("a", A), rows=Rows(1, 3))
    np.testing.assert_array_equal(assembled(WeightRecipe((part,)), (2, 6), {"a": A}), A[1:3])


def test_rows_of_a_transposed_weight_are_columns() -> None:
    part = WeightPart(stored("a", A.T), rows=Rows(1, 3))
    found = assembled(WeightRecipe((part,), 1), (2, 6), {"a": A.T})
    np.testing.assert_array_equal(found, A[1:3].T)


def test_an_experts_columns() -> None:
    part = WeightPart(stored("s", STACK), 2, Rows(4, 8))
    found = assembled(WeightRecipe((part,), 1), (4, 6), {"s": STACK})
    np.testing.assert_array_equal(found, STACK[2, :, 4:])


def test_parts_are_joined_along_the_output() -> None:
    arrays = {"a": A, "b": B, "c": C}
    recipe = WeightRecipe(tuple(WeightPart(stored(name, each)) for name, each in arrays.items()))
    np.testing.assert_array_equal(assembled(recipe, (8, 6), arrays), np.concatenate([A, B, C]))


def test_transposed_parts_are_joined_along_the_columns() -> None:
    arrays = {"a": A.T, "b": B.T}
    parts = tuple(WeightPart(stored(name, each)) for name, each in arrays.items())
    found = assembled(WeightRecipe(parts, 1), (6, 6), arrays)
    np.testing.assert_array_equal(found, np.concatenate([A, B]).T)


def test_a_kernel_is_flattened() -> None:
    kernel = values(4, 2, 3, 3)
    found = assembled(WeightRecipe((WeightPart(stored("k", kernel)),)), (4, 18), {"k": kernel})
    np.testing.assert_array_equal(found, kernel.reshape(4, 18))


@pytest.mark.parametrize("several", [False, True])
def test_a_part_without_values_is_the_reason(several: bool) -> None:  # noqa: FBT001
    recipe = WeightRecipe((WeightPart(stored("a", A)),) * (2 if several else 1))
    assert assemble(recipe, (4, 6), lambda _: "no values") == "no values"


def test_a_shape_that_only_the_values_tell_is_checked() -> None:
    quantised = QuantisedWeight("NF4", {"weight": "a.weight"}, None, {})
    weight = StoredWeight("a", TensorInfo("a.weight", (12, 1), "U8"), quantised)
    recipe = WeightRecipe((WeightPart(weight),))
    assert assemble(recipe, (4, 5), lambda _: A) == "a has shape (4, 6), the update (4, 5)"


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64, np.float32])
def test_every_float_is_widened_exactly(dtype: type[np.generic]) -> None:
    narrow = values(5, 7).astype(dtype)
    expected = np.array([[float(each) for each in row] for row in narrow])
    np.testing.assert_array_equal(to_float32(narrow), expected.astype(np.float32))


def test_an_unaligned_view_is_copied() -> None:
    data = b"x" + A.tobytes()
    view = np.frombuffer(data, np.float32, A.size, 1).reshape(A.shape)
    assert not view.flags.aligned
    assert to_float32(view).flags.aligned
    np.testing.assert_array_equal(to_float32(view), A)


def test_a_float64_beyond_float32_is_infinite() -> None:
    assert np.isinf(to_float32(np.array([[1e300]]))).all()


@pytest.mark.parametrize("transposed", [False, True])
def test_a_weight_is_turned_by_its_shape(*, transposed: bool) -> None:
    assert oriented(A, (4, 6), transposed=transposed) is A
    np.testing.assert_array_equal(oriented(A, (6, 4), transposed=transposed), A.T)


def test_a_square_weight_is_turned_where_the_model_stores_it_so() -> None:
    square = values(5, 5)
    assert oriented(square, (5, 5), transposed=False) is square
    np.testing.assert_array_equal(oriented(square, (5, 5), transposed=True), square.T)
