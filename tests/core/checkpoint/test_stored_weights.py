"""A checkpoint's tensors as weights by path."""

import pytest

from gradience.core.adapter.tensors import TensorInfo
from gradience.core.checkpoint.facts import CheckpointFacts
from gradience.core.checkpoint.stored_weights import (
    CheckpointWeights,
    StoredWeight,
    checkpoint_weights,
    fits,
    stored_problem,
    weight_path,
)


def weights(*tensors: tuple[str, tuple[int, ...], str]) -> CheckpointWeights:
    """A checkpoint of some tensors."""
    return checkpoint_weights([TensorInfo(*each) for each in tensors], CheckpointFacts())


@pytest.mark.parametrize(
    ("tensor", "path"),
    [
        ("a.q_proj.weight", "a.q_proj"),
        ("a.q_proj.qweight", "a.q_proj"),
        ("a.q_proj.weight_packed", "a.q_proj"),
        ("a.attn.in_proj_weight", "a.attn.in_proj"),
        ("a.experts.gate_up_proj", "a.experts.gate_up_proj"),
        ("a.experts.gate_up_proj_blocks", "a.experts.gate_up_proj"),
        ("a.q_proj.bias", "a.q_proj.bias"),
    ],
)
def test_a_weights_path_is_its_modules_name(tensor: str, path: str) -> None:
    assert weight_path(tensor) == path


def test_a_plain_weight() -> None:
    tensor = TensorInfo("a.weight", (3, 2), "BF16")
    found = weights(tensor).stored("a")
    assert found == StoredWeight("a", tensor)
    assert isinstance(found, StoredWeight)
    assert (found.shape, found.tensors, found.label) == ((3, 2), ("a.weight",), "a.weight")


def test_the_plain_tensor_is_the_weight_beside_its_scales() -> None:
    checkpoint = weights(("a.weight_scales", (3,), "F32"), ("a.weight", (3, 2), "I8"))
    assert checkpoint.by_path["a"].name == "a.weight"


def test_an_8_bit_bitsandbytes_weight_is_quantised() -> None:
    checkpoint = weights(("a.weight", (3, 2), "I8"), ("a.SCB", (3,), "F32"))
    found = checkpoint.stored("a")
    assert isinstance(found, StoredWeight)
    assert found.quantised is not None
    assert (checkpoint.shape("a"), found.label) == ((3, 2), "a")
    assert set(found.tensors) == {"a.weight", "a.SCB"}


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (("a.weight", (3, 2), "I8"), "a.weight is stored as I8"),
        (("a.weight_packed", (3, 2), "I32"), "a is stored as packed compressed-tensors"),
        (("a", (2, 3, 2), "I32"), "a is stored as I32"),
    ],
)
def test_what_cannot_be_read_says_why(
    tensor: tuple[str, tuple[int, ...], str], reason: str
) -> None:
    checkpoint = weights(tensor)
    found = checkpoint.stored("a")
    assert isinstance(found, str)
    assert found.startswith(reason)
    assert checkpoint.shape("a") is None


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (4, 2, 3, 1), (4, 6, 1, 1), None])
def test_a_weight_fits_either_way_round_or_as_a_kernel(shape: tuple[int, ...] | None) -> None:
    assert fits(shape, (4, 6))


@pytest.mark.parametrize("shape", [(4, 5), (4,), (24,), (6, 4, 1, 1), (2, 4, 6), ()])
def test_other_shapes_do_not_fit(shape: tuple[int, ...]) -> None:
    assert not fits(shape, (4, 6))


def test_a_shape_that_does_not_fit_is_named() -> None:
    weight = StoredWeight("a", TensorInfo("a.weight", (4, 5), "F32"))
    assert stored_problem(weight, (4, 6)) == "a.weight has shape (4, 5), the update (4, 6)"
    assert stored_problem(weight, (5, 4)) is None
