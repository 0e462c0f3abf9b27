"""Why the two factors of a pair make no update, in words."""

import attrs
import pytest

from gradience.core.adapter.tensors import FactorForm, LoraPair, TensorInfo
from gradience.core.audit.pair_problems import (
    FREE_RANK,
    LARGEST_RANK,
    MOST_EXPERTS,
    is_pruned,
    pair_problem,
)
from gradience.core.severity import Severity
from tests.adapter_files import Q_PROJ, tensor_pair

Shape = tuple[int, ...]


def _pair(a: Shape, b: Shape, form: FactorForm = FactorForm.MATRICES, experts: int = 5) -> LoraPair:
    return attrs.evolve(tensor_pair(a_shape=a, b_shape=b), form=form, experts=experts)


def _words(pair: LoraPair) -> str:
    problem = pair_problem(pair)
    assert problem is not None
    assert (problem.code, problem.severity) == ("unreadable_pair", Severity.ERROR)
    assert problem.modules == (Q_PROJ,)
    assert problem.message.startswith(f"{Q_PROJ}: ")
    assert "DeepSpeed ZeRO-3" in problem.remedy
    return problem.message.removeprefix(f"{Q_PROJ}: ")


@pytest.mark.parametrize(
    ("form", "a", "b"),
    [
        (FactorForm.MATRICES, (4, 12), (10, 4)),
        (FactorForm.MATRICES, (4, 3, 3, 3), (10, 4, 1, 1)),
        (FactorForm.TRANSPOSED, (12, 4), (4, 10)),
        (FactorForm.EXPERT_ROWS, (20, 12), (10, 20)),
        (FactorForm.EXPERT_STACK, (5, 4, 12), (5, 10, 4)),
    ],
)
def test_factors_that_multiply_have_no_problem(form: FactorForm, a: Shape, b: Shape) -> None:
    assert pair_problem(_pair(a, b, form)) is None


@pytest.mark.parametrize(
    ("form", "a", "b", "words"),
    [
        (FactorForm.MATRICES, (0, 16), (16, 0), "lora_A (0, 16) and lora_B (16, 0) are empty"),
        (FactorForm.MATRICES, (4, 0), (10, 4), "are empty"),
        (FactorForm.MATRICES, (4, 12), (10, 3), "lora_A (4, 12) and lora_B (10, 3) differ in rank"),
        (FactorForm.MATRICES, (8, 6, 3, 3), (10, 4, 1, 1), "a convolution with 2 groups"),
        (FactorForm.TRANSPOSED, (12, 4), (3, 10), "differ in rank"),
        (FactorForm.TRANSPOSED, (12, 4), (4, 5, 2), "are no matrices"),
        (FactorForm.TRANSPOSED, (3, 4, 5), (4, 5), "are no matrices"),
        (FactorForm.EXPERT_ROWS, (20, 12), (10, 15), "differ in rank"),
        (FactorForm.EXPERT_ROWS, (20, 3, 4), (10, 20), "are no matrices"),
        (FactorForm.EXPERT_STACK, (5, 4, 12), (5, 10, 3), "differ in rank"),
        (FactorForm.EXPERT_STACK, (5, 4, 12), (4, 10, 5), "differ in their number of experts"),
    ],
)
def test_factors_that_do_not_multiply_are_refused(
    form: FactorForm, a: Shape, b: Shape, words: str
) -> None:
    assert words in _words(_pair(a, b, form))


def test_an_absurd_rank_is_refused_before_its_matrices_are_made() -> None:
    r = LARGEST_RANK + 1
    assert f"rank {r} is beyond any LoRA" in _words(_pair((r, 12), (10, r)))
    largest = (LARGEST_RANK, LARGEST_RANK)
    assert pair_problem(_pair(largest, largest)) is None


def test_a_rank_beyond_the_weight_is_refused_unless_it_is_small() -> None:
    r = FREE_RANK + 1
    words = _words(_pair((r, 12), (10, r)))
    assert words == f"rank {r} is beyond both sides of the weight, (10, 12)"
    assert pair_problem(_pair((r, r), (10, r))) is None
    assert pair_problem(_pair((FREE_RANK, 12), (10, FREE_RANK))) is None


def test_an_absurd_number_of_experts_is_refused() -> None:
    experts = MOST_EXPERTS + 1
    pair = _pair((experts, 1, 2), (experts, 2, 1), FactorForm.EXPERT_STACK, experts)
    assert f"{experts} experts are beyond any model" in _words(pair)


def test_values_of_another_rank_are_refused() -> None:
    pair = attrs.evolve(tensor_pair(), values=TensorInfo("e", (3, 1), "F32"))
    assert _words(pair) == "lora_A (4, 12) and lora_E (3, 1) differ in rank"


@pytest.mark.parametrize("dtype", ["I8", "U8", "I4", "BOOL", "torch.int8", "C64"])
def test_factors_that_are_no_floats_are_refused(dtype: str) -> None:
    found = _words(tensor_pair(dtype=dtype))
    assert found == f"factors of dtype {dtype} and {dtype} are no floating-point numbers"


def test_the_dtype_of_values_counts_as_well() -> None:
    pair = attrs.evolve(tensor_pair(), values=TensorInfo("e", (4, 1), "I8"))
    assert "F32 and F32 and I8" in _words(pair)


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"])
def test_float_factors_are_fine(dtype: str) -> None:
    assert pair_problem(tensor_pair(dtype=dtype)) is None


@pytest.mark.parametrize(("a", "b"), [((0, 12), (10, 0)), ((4, 12), (10, 4))])
def test_a_pruned_pair_has_no_problem(a: Shape, b: Shape) -> None:
    kept = None if a[0] == 0 else ()
    pair = attrs.evolve(_pair(a, b), values=TensorInfo("e", (a[0], 1), "F32"), kept=kept)
    assert is_pruned(pair)
    assert pair_problem(pair) is None
    assert not is_pruned(tensor_pair())
