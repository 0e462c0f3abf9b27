"""Snapshots taken and put back."""

import math
from collections.abc import Callable

import pytest
import torch

from gradience.core.errors import ConfigError
from gradience.shell.guard.snapshots import (
    BYTES_PER_MB,
    Snapshot,
    SnapshotStore,
    is_healthy,
    restore_snapshot,
    take_snapshot,
    trainable_parameters,
)

MakeOptimizer = Callable[[torch.nn.Module], torch.optim.Optimizer]


class Factored(torch.optim.Optimizer):
    """An optimizer that remembers numbers, lists, tuples and nested dictionaries."""

    def __init__(self, parameters: object) -> None:
        super().__init__(parameters, {"lr": 0.1})  # type: ignore[arg-type]  # an iterator of parameters

    def step(self, closure: object = None) -> None:  # type: ignore[override]  # no closures here
        """Applies a step that depends on all that is remembered."""
        del closure
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                state = self.state[p]
                if not state:
                    state.update(
                        step=0, rms=1.0, rows=[torch.zeros_like(p)], nested={"m": (p * 0, 0)}
                    )
                state["step"] += 1
                state["rms"] = 0.9 * state["rms"] + float(p.grad.norm())
                state["rows"][0].mul_(0.9).add_(p.grad)
                state["nested"] = {"m": (p * 0 + state["step"], state["step"])}
                p.sub_(state["rows"][0], alpha=0.1 / (state["rms"] + state["step"]))


OPTIMIZERS: dict[str, MakeOptimizer] = {
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), lr=0.1, weight_decay=0.1),
    "adamw_fused": lambda m: torch.optim.AdamW(m.parameters(), lr=0.1, fused=True),
    "amsgrad": lambda m: torch.optim.Adam(m.parameters(), lr=0.1, amsgrad=True),
    "sgd": lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9),
    "plain_sgd": lambda m: torch.optim.SGD(m.parameters(), lr=0.1),
    "adafactor": lambda m: torch.optim.Adafactor(m.parameters(), lr=0.1),
    "factored": lambda m: Factored(m.parameters()),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=list(OPTIMIZERS))


def small_model(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(5, 3, generator=generator)).square().mean().backward()
        optimizer.step()


def copied(model: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def snapshot(step: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Snapshot:
    return take_snapshot(step, trainable_parameters(model), optimizer)


@every_optimizer
@pytest.mark.parametrize("taken_at", [0, 3])
def test_training_from_a_restored_snapshot_repeats_itself_to_the_last_bit(
    make: MakeOptimizer, taken_at: int
) -> None:
    model = small_model()
    optimizer = make(model)
    train(model, optimizer, 0, taken_at)
    taken = snapshot(taken_at, model, optimizer)
    before = copied(model)
    train(model, optimizer, 3, 8)
    first = copied(model)
    restore_snapshot(taken, trainable_parameters(model), optimizer)
    assert same(copied(model), before)
    train(model, optimizer, 3, 8)
    assert same(copied(model), first)
    restore_snapshot(taken, trainable_parameters(model), optimizer)
    assert same(copied(model), before), "a snapshot is not worn by its use"


def test_parameters_and_moments_keep_identity_dtype_and_place() -> None:
    model = small_model().to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def pieces() -> list[tuple[int, torch.dtype, torch.device]]:
        held = [t for s in optimizer.state.values() for t in s.values()]
        return [(id(t), t.dtype, t.device) for t in (*model.parameters(), *held)]

    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    taken, before = snapshot(1, model, optimizer), pieces()
    optimizer.step()
    restore_snapshot(taken, trainable_parameters(model), optimizer)
    assert pieces() == before


def test_state_that_did_not_exist_is_removed() -> None:
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters())
    taken = snapshot(0, model, optimizer)
    assert len(optimizer.state) == 0, "looking leaves no entry behind"
    train(model, optimizer, 0, 1)
    parameter = next(model.parameters())
    restore_snapshot(taken, trainable_parameters(model), optimizer)
    assert len(optimizer.state) == 0
    train(model, optimizer, 0, 1)
    later = snapshot(1, model, optimizer)
    optimizer.state[parameter]["extra"] = torch.ones(1)
    restore_snapshot(later, trainable_parameters(model), optimizer)
    assert set(optimizer.state[parameter]) == {"step", "exp_avg", "exp_avg_sq"}


def test_state_that_is_gone_comes_back() -> None:
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters())
    train(model, optimizer, 0, 2)
    taken = snapshot(2, model, optimizer)
    expected = repr(optimizer.state_dict())
    optimizer.state.clear()
    restore_snapshot(taken, trainable_parameters(model), optimizer)
    assert repr(optimizer.state_dict()) == expected


def test_groups_and_learning_rate_are_left_alone() -> None:
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    taken = snapshot(0, model, optimizer)
    optimizer.param_groups[0]["lr"] = 0.05
    restore_snapshot(taken, trainable_parameters(model), optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_frozen_parameters_are_not_held() -> None:
    model = small_model()
    next(model.parameters()).requires_grad = False
    taken = take_snapshot(0, trainable_parameters(model), None)
    assert list(taken.weights) == ["0.bias", "2.weight", "2.bias"]
    assert taken.moments is None


def test_a_snapshot_shares_no_memory() -> None:
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    train(model, optimizer, 0, 1)
    taken = snapshot(1, model, optimizer)
    expected = [t.clone() for t in taken.weights.values()]
    train(model, optimizer, 1, 4)
    assert same(list(taken.weights.values()), expected)


def test_memory_is_measured() -> None:
    model = small_model()
    numbers = sum(p.numel() for p in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters())
    store = SnapshotStore()
    store.add(snapshot(0, model, optimizer), ())
    assert store.memory_mb() == numbers * 4 / BYTES_PER_MB
    train(model, optimizer, 0, 1)
    store.add(snapshot(1, model, optimizer), (0,))
    steps = len(list(model.parameters()))
    assert store.memory_mb() == (numbers * 12 + steps * 4) / BYTES_PER_MB
    store.discard((1, 99))
    assert store.memory_mb() == 0.0


def test_without_the_optimizer_the_weights_alone_are_restored() -> None:
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters())
    taken, before = snapshot(0, model, optimizer), copied(model)
    train(model, optimizer, 0, 2)
    state = repr(optimizer.state_dict())
    restore_snapshot(taken, trainable_parameters(model), None)
    assert same(copied(model), before)
    assert repr(optimizer.state_dict()) == state


def test_other_parameters_are_refused_before_anything_changes() -> None:
    model = small_model()
    taken = take_snapshot(4, trainable_parameters(model), None)
    model[2] = torch.nn.Linear(4, 3)  # type: ignore[operator]  # a Sequential
    before = copied(model)
    words = (
        r"snapshot of step 4: expected the trainable parameters of then, found 2\.bias with "
        r"shape \(3,\) in place of \(2,\)\. Take a new snapshot"
    )
    with pytest.raises(ConfigError, match=words):
        restore_snapshot(taken, trainable_parameters(model), None)
    assert same(copied(model), before)


def test_health_is_of_weights_and_moments() -> None:
    model = small_model()
    optimizer = torch.optim.AdamW(model.parameters())
    parameters = trainable_parameters(model)
    train(model, optimizer, 0, 1)
    assert is_healthy(parameters, optimizer)
    weight = parameters["0.bias"]
    optimizer.state[weight]["exp_avg_sq"][0] = math.inf
    assert not is_healthy(parameters, optimizer)
    assert is_healthy(parameters, None)
    with torch.no_grad():
        weight[0] = math.nan
    assert not is_healthy(parameters, None)
