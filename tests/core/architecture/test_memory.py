"""Memory of optimizer states, against the optimizers where they are at hand."""

import pytest
import torch
from torch import nn
from transformers.optimization import Adafactor

from gradience.core.architecture.memory import OPTIMIZERS, optimizer_bytes
from gradience.core.architecture.trained import TrainedTensor

SHAPES = ((8, 300), (500, 8), (70,))
TENSORS = tuple(TrainedTensor(f"t{n}", shape, 4) for n, shape in enumerate(SHAPES))
NUMBERS = 8 * 300 + 500 * 8 + 70
BIG = TrainedTensor("big", (16, 4096), 4)


def measured(make: object) -> int:
    """Bytes of the states after one step; scalars such as step counters left out."""
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
    optimizer = make(parameters)  # type: ignore[operator]  # a class or a partial one
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return sum(
        value.numel() * value.element_size()
        for state in optimizer.state.values()
        for value in state.values()
        if torch.is_tensor(value) and value.ndim
    )


def test_pytorchs_own() -> None:
    assert optimizer_bytes("adamw_torch", TENSORS) == measured(torch.optim.AdamW) == 8 * NUMBERS
    assert optimizer_bytes("SGD", TENSORS) == measured(torch.optim.SGD) == 0
    assert optimizer_bytes("torch.optim.AdamW", TENSORS) == 8 * NUMBERS
    assert optimizer_bytes("rmsprop", TENSORS) == measured(torch.optim.RMSprop)
    assert optimizer_bytes("adagrad", TENSORS) == measured(torch.optim.Adagrad)
    with_momentum = measured(lambda params: torch.optim.SGD(params, momentum=0.9))
    assert optimizer_bytes("sgd", TENSORS, momentum=True) == with_momentum


def test_adafactor_as_the_trainer_sets_it() -> None:
    states = measured(
        lambda params: Adafactor(  # type: ignore[no-untyped-call]  # transformers has no types here
            params, lr=1e-3, scale_parameter=False, relative_step=False
        )
    )
    assert optimizer_bytes("adafactor", TENSORS) == states


def test_quantised_states_have_scales_and_spare_small_tensors_and_embeddings() -> None:
    n = BIG.size
    assert optimizer_bytes("paged_adamw_8bit", [BIG]) == 2 * (n + n // 256 * 4)
    assert optimizer_bytes("lion_8bit", [BIG]) == n + n // 256 * 4
    assert optimizer_bytes("adamw_torch_4bit", [BIG]) == 2 * (n // 2 + n // 128 * 4)
    small = TrainedTensor("small", (16, 255), 4)
    assert optimizer_bytes("adamw_8bit", [small]) == 8 * small.size
    assert optimizer_bytes("adamw_bnb_8bit", [BIG._replace(embedding=True)]) == 8 * n


def test_half_precision_weights_halve_pytorchs_states() -> None:
    assert optimizer_bytes("adamw_torch_fused", [BIG._replace(item_bytes=2)]) == 4 * BIG.size


def test_what_is_only_saved_has_no_states() -> None:
    assert optimizer_bytes("adamw_torch", [BIG._replace(trained=False)]) == 0


@pytest.mark.parametrize("name", [None, "galore_adamw", "muon", "lomo", ""])
def test_an_optimizer_that_is_not_known(name: str | None) -> None:
    assert optimizer_bytes(name, TENSORS) is None


def test_no_optimizer_has_negative_memory() -> None:
    assert all((optimizer_bytes(name, TENSORS) or 0) >= 0 for name in OPTIMIZERS)
