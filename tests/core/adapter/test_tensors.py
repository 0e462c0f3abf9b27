"""What a pair tells of its rank and its update, in every form."""

import attrs
import pytest

from gradience.core.adapter.tensors import FactorForm, TensorInfo
from tests.adapter_files import tensor_pair


@pytest.mark.parametrize(
    ("form", "a", "b", "experts"),
    [
        (FactorForm.MATRICES, (4, 12), (10, 4), None),
        (FactorForm.MATRICES, (4, 3, 2, 2), (10, 4, 1, 1), None),
        (FactorForm.TRANSPOSED, (12, 4), (4, 10), None),
        (FactorForm.EXPERT_ROWS, (20, 12), (10, 20), 5),
        (FactorForm.EXPERT_STACK, (5, 4, 12), (5, 10, 4), 5),
    ],
)
def test_rank_and_update_are_those_of_one_expert(
    form: FactorForm, a: tuple[int, ...], b: tuple[int, ...], experts: int | None
) -> None:
    pair = attrs.evolve(tensor_pair(a_shape=a, b_shape=b), form=form, experts=experts)
    assert (pair.rank, pair.update_shape) == (4, (10, 12))


def test_directions_that_are_kept_are_the_rank() -> None:
    assert attrs.evolve(tensor_pair(), kept=(0, 3)).rank == 2
    assert attrs.evolve(tensor_pair(), kept=()).rank == 0


@pytest.mark.parametrize(("shape", "size"), [((), 1), ((0, 4), 0), ((3, 4, 5), 60)])
def test_a_tensors_size_is_its_number_of_elements(shape: tuple[int, ...], size: int) -> None:
    assert TensorInfo("t", shape, "F32").size == size
