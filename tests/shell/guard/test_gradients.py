"""Gradients and weights, looked at."""

import math

import pytest
import torch

from gradience.shell.guard.gradients import (
    GradientLook,
    PreClipNorm,
    all_finite,
    drop_gradients,
    look_at,
)


def parameter(values: list[float], grad: list[float] | None = None) -> torch.nn.Parameter:
    made = torch.nn.Parameter(torch.tensor(values))
    if grad is not None:
        made.grad = torch.tensor(grad)
    return made


def test_a_healthy_look() -> None:
    look = look_at([parameter([1.0, 2.0], [3.0, 0.0]), parameter([1.0], [4.0]), parameter([1.0])])
    assert look == GradientLook(nonfinite_grads=False, grad_norm=5.0, weights_finite=True)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_element_is_seen(bad: float) -> None:
    good = parameter([1.0], [1.0])
    look = look_at([good, parameter([1.0, 1.0], [0.0, bad])])
    assert (look.nonfinite_grads, look.weights_finite) == (True, True)
    assert not math.isfinite(look.grad_norm)
    look = look_at([good, parameter([1.0, bad], [0.0, 0.0])])
    assert (look.nonfinite_grads, look.weights_finite) == (False, False)


def test_a_norm_that_overflows_is_not_taken_for_bad_elements() -> None:
    look = look_at([parameter([1.0, 1.0], [1e30, 1e30])])
    assert look == GradientLook(nonfinite_grads=False, grad_norm=math.inf, weights_finite=True)


def test_large_half_precision_weights_are_finite() -> None:
    half = torch.nn.Parameter(torch.full((4,), 6e4, dtype=torch.float16))
    assert look_at([half]).weights_finite


def test_nothing_to_look_at() -> None:
    assert look_at([]) == GradientLook(nonfinite_grads=False, grad_norm=0.0, weights_finite=True)
    assert look_at([parameter([1.0])]).grad_norm == 0.0


def test_sparse_and_low_precision_gradients() -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1, 1, 3])).sum().backward()
    half = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    half.grad = torch.ones(4, dtype=torch.bfloat16)
    look = look_at([*table.parameters(), half])
    assert look.grad_norm == pytest.approx(math.sqrt(2 * 4 + 2 * 1 + 4))


def test_one_look_is_one_synchronisation(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in ("item", "tolist", "__bool__", "__float__", "cpu", "numpy"):
        real = getattr(torch.Tensor, name)

        def counted(
            tensor: torch.Tensor, *args: object, _name: str = name, _real: object = real
        ) -> object:
            seen.append(_name)
            assert callable(_real)
            return _real(tensor, *args)

        monkeypatch.setattr(torch.Tensor, name, counted)
    look_at([parameter([1.0], [1.0]), parameter([2.0], [1.0])], torch.tensor(1.0))
    assert seen == ["tolist"]


def test_the_norm_before_clipping() -> None:
    model = torch.nn.Linear(3, 2)
    unused = parameter([1.0])
    parameters = [*model.parameters(), unused]
    lens = PreClipNorm(parameters)
    for _ in range(2):  # two micro-batches of one step
        (model(torch.ones(4, 3)).sum() * 100).backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    expected = math.sqrt(sum(float((grad.double() ** 2).sum()) for grad in grads))
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    norm = lens.read()
    assert norm is not None
    assert norm.item() == pytest.approx(expected)
    assert look_at(parameters, norm).grad_norm == pytest.approx(expected)
    assert look_at(parameters).grad_norm == pytest.approx(1.0, rel=1e-3)
    assert lens.read() is None, "a norm is of one step only"


def test_a_loss_scale_is_divided_out() -> None:
    weight = parameter([1.0])
    lens = PreClipNorm([weight], lambda tensor: tensor * 8.0)
    torch.autograd.backward((weight * 3.0 * 8.0).sum())
    norm = lens.read()
    assert norm is not None
    assert norm.item() == 3.0


def test_detached_it_measures_no_more_and_never_touched_the_gradients() -> None:
    weight, plain = parameter([2.0, 3.0]), parameter([2.0, 3.0])
    lens = PreClipNorm([weight])
    torch.autograd.backward((weight**3).sum())
    torch.autograd.backward((plain**3).sum())
    assert weight.grad is not None
    assert plain.grad is not None
    assert torch.equal(weight.grad, plain.grad)
    assert lens.read() is not None
    lens.detach()
    weight.grad = None
    torch.autograd.backward((weight**3).sum())
    assert lens.read() is None


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_without_gradients_an_optimizer_applies_nothing(
    optimizer: type[torch.optim.Optimizer],
) -> None:
    weight = parameter([2.0, 3.0], [1.0, 1.0])
    steps = optimizer([weight], lr=0.1, weight_decay=0.1)  # type: ignore[call-arg]  # of these three
    steps.step()
    values, state = weight.detach().clone(), repr(steps.state_dict())
    weight.grad = torch.full((2,), math.nan)
    drop_gradients([weight])
    steps.step()
    assert torch.equal(weight, values)
    assert repr(steps.state_dict()) == state


def test_all_finite_looks_at_floating_point_alone() -> None:
    assert all_finite([])
    assert all_finite([torch.tensor([1, 2]), torch.empty(0), torch.ones(2)])
    assert all_finite([torch.tensor([1e30, 1e30])]), "its norm overflows, it does not"
    assert not all_finite([torch.ones(2), torch.tensor([math.nan])])
    assert not all_finite([torch.ones(2), torch.tensor([math.inf], dtype=torch.bfloat16)])
