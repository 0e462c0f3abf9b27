"""Gradient norms against plain torch, in one process and in two."""

import math
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from gradience.shell.gradient_norms import (
    BackwardNorms,
    MeasuredNorms,
    gradient_norms,
    parameter_norms,
)


def linear(width: int = 3) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(width, 2)


def values(found: MeasuredNorms | None) -> dict[int, float]:
    assert found is not None
    return dict(zip(found.places, found.norms.tolist(), strict=True))


def norms_of(model: torch.nn.Module) -> dict[int, float]:
    grads = [(place, p.grad) for place, p in enumerate(model.parameters())]
    return {place: float(g.double().norm()) for place, g in grads if g is not None}


def loss(model: torch.nn.Module, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    out = model(torch.randn(4, 3, generator=generator))
    assert isinstance(out, torch.Tensor)
    return out.square().sum()


def backward(model: torch.nn.Module, seed: int = 0) -> None:
    loss(model, seed).backward()  # type: ignore[no-untyped-call]  # untyped in torch


def test_norms_are_those_before_clipping() -> None:
    model = linear()
    watch = BackwardNorms(list(model.parameters()))
    backward(model)
    expected = norms_of(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    assert values(watch.take()) == pytest.approx(expected)
    assert watch.take() is None


def test_accumulated_passes_count_together() -> None:
    model = linear()
    watch = BackwardNorms(list(model.parameters()))
    for seed in range(3):
        backward(model, seed)
    assert values(watch.take()) == pytest.approx(norms_of(model))


def test_gradients_are_left_as_they_are() -> None:
    watched, plain = linear(), linear()
    BackwardNorms(list(watched.parameters()))
    backward(watched)
    backward(plain)
    pairs = zip(watched.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)  # type: ignore[arg-type]  # not None


def test_without_hooks_nothing_is_measured() -> None:
    model = linear()
    watch = BackwardNorms(list(model.parameters()))
    watch.detach()
    backward(model)
    assert watch.take() is None


def test_a_backward_pass_that_broke_off_does_not_blind_the_next() -> None:
    model = linear()
    watch = BackwardNorms(list(model.parameters()))

    def fail(gradient: torch.Tensor) -> None:
        del gradient
        raise RuntimeError("in backward")

    hook = model.weight.register_hook(fail)  # type: ignore[no-untyped-call]  # untyped in torch
    with pytest.raises(RuntimeError, match="in backward"):
        backward(model)
    hook.remove()
    watch.take()
    backward(model, 1)
    assert values(watch.take()) == pytest.approx(norms_of(model))


def test_what_goes_wrong_is_not_raised_into_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(parameters: object) -> None:
        del parameters
        raise RuntimeError("out of memory")

    monkeypatch.setattr("gradience.shell.gradient_norms.gradient_norms", fail)
    model = linear()
    watch = BackwardNorms(list(model.parameters()))
    backward(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        watch.take()


def test_a_reentrant_pass_within_is_followed_by_the_whole() -> None:
    from torch.utils.checkpoint import checkpoint

    first, second = linear(), torch.nn.Linear(2, 2)
    model = torch.nn.Sequential(first, second)
    watch = BackwardNorms(list(model.parameters()))
    hidden = checkpoint(first, torch.ones(1, 3, requires_grad=True), use_reentrant=True)
    second(hidden).sum().backward()
    assert values(watch.take()) == pytest.approx(norms_of(model))


def test_a_half_gradient_is_summed_in_float32() -> None:
    parameter = torch.nn.Parameter(torch.zeros(100, dtype=torch.float16))
    parameter.grad = torch.full((100,), 60000.0, dtype=torch.float16)
    assert values(gradient_norms([parameter])) == {0: pytest.approx(6e5, rel=1e-3)}


def test_dtypes_mix_and_gradients_may_lack() -> None:
    wide = torch.nn.Parameter(torch.full((2,), 3.0, dtype=torch.float64))
    narrow = torch.nn.Parameter(torch.full((2,), -4.0, dtype=torch.bfloat16))
    empty = torch.nn.Parameter(torch.empty(0))
    wide.grad = torch.full((2,), 1e100, dtype=torch.float64)
    parameters: list[torch.nn.Parameter] = [wide, narrow, empty]
    assert values(gradient_norms(parameters)) == {0: pytest.approx(math.sqrt(2) * 1e100)}
    assert values(parameter_norms(parameters)) == pytest.approx({0: 18**0.5, 1: 32**0.5})


def test_sparse_gradients_are_measured() -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1, 1, 3])).sum().backward()
    assert values(gradient_norms(list(table.parameters()))) == {0: pytest.approx(math.sqrt(10))}


def test_nan_and_infinities_show() -> None:
    parameters = [torch.nn.Parameter(torch.tensor([1.0, x])) for x in (math.nan, -math.inf, 0.0)]
    found = values(parameter_norms(parameters))
    assert math.isnan(found[0])
    assert (found[1], found[2]) == (math.inf, 1.0)


def test_nothing_to_measure() -> None:
    assert gradient_norms([]) is None
    assert gradient_norms([torch.nn.Parameter(torch.ones(2))]) is None


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_a_model_wrapped_for_data_parallelism_is_measured() -> None:
    model = linear()
    watch = BackwardNorms(list(model.parameters()))
    backward(DistributedDataParallel(model))
    assert values(watch.take()) == pytest.approx(norms_of(model))


def one_of_two(rank: int, port: int, out: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    model = linear()
    watch = BackwardNorms(list(model.parameters()))
    backward(DistributedDataParallel(model), seed=rank)
    torch.save((values(watch.take()), norms_of(model)), f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_of_two_processes_each_sees_the_reduced_gradients(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(one_of_two, (port, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]  # untyped in torch
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    whole = linear()
    mean = (loss(whole, 0) + loss(whole, 1)) / 2
    mean.backward()  # type: ignore[no-untyped-call]  # untyped in torch
    for measured, held in found:
        assert measured == pytest.approx(held)
        assert measured == pytest.approx(norms_of(whole))
