"""The guard driven by hand."""

import math

import pytest
import torch

from gradience.core.errors import ConfigError
from gradience.core.guard.policy import GuardPolicy
from gradience.vnext.experimental.guard import LoRAGuard

TARGET = torch.tensor([3.0, -2.0, 1.0, 0.5])


class Weights(torch.nn.Module):
    """Four numbers to be trained towards :data:`TARGET`, and one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.lora_A = torch.nn.Parameter(torch.zeros(4))
        self.frozen = torch.nn.Parameter(torch.zeros(1), requires_grad=False)


def train(
    model: Weights, optimizer: torch.optim.Optimizer, steps: int, spoil: float | None = None
) -> float:
    """Some steps, their gradients spoilt where asked for; the loss at the end."""
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward((model.lora_A - TARGET).square().sum())
        if spoil is not None and model.lora_A.grad is not None:
            model.lora_A.grad.fill_(spoil)
        optimizer.step()
    return float((model.lora_A.detach() - TARGET).square().sum())


def started() -> tuple[Weights, torch.optim.Optimizer, LoRAGuard]:
    model, guard = Weights(), LoRAGuard()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    train(model, optimizer, 10)
    assert guard.snapshot(10, model, loss=1.0, optimizer=optimizer)
    return model, optimizer, guard


def test_a_rollback_restores_and_names_the_step() -> None:
    model, optimizer, guard = started()
    before = model.lora_A.detach().clone()
    train(model, optimizer, 5)
    assert guard.rollback(model, optimizer=optimizer) == 10
    assert torch.equal(model.lora_A, before)
    assert guard.n_rollbacks == 1


def test_without_a_snapshot_there_is_no_way_back() -> None:
    guard = LoRAGuard()
    assert guard.rollback(Weights()) is None
    assert not guard.can_attempt_rollback(5)
    assert guard.rollback(Weights()) is None
    assert (guard.n_rollbacks, guard.snapshot_count(), guard.memory_usage_mb()) == (0, 0, 0.0)


def test_steps_back_and_pruning() -> None:
    model, _, guard = started()
    for step in (20, 30, 40):
        with torch.no_grad():
            model.lora_A.fill_(step)
        guard.snapshot(step, model)
    assert guard.rollback(model, steps_back=2) == 30
    assert model.lora_A.tolist() == [30.0] * 4
    assert guard.snapshot_count() == 3
    assert guard.rollback(model, steps_back=99) == 10
    assert guard.snapshot_count() == 1


def test_the_policy_says_how_far_back() -> None:
    guard, model = LoRAGuard(GuardPolicy(steps_back=2)), Weights()
    for step in (1, 2, 3):
        guard.snapshot(step, model)
    assert guard.rollback(model) == 2


def test_a_step_back_of_nought_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps_back: expected a whole number of at least 1"):
        LoRAGuard().rollback(Weights(), steps_back=0)


def test_the_ring_and_its_memory() -> None:
    model, guard = Weights(), LoRAGuard(GuardPolicy(ring_size=2))
    sizes = []
    for step in range(4):
        guard.snapshot(step, model)
        sizes.append((guard.snapshot_count(), guard.memory_usage_mb() * 2**20))
    assert sizes == [(1, 16.0), (2, 32.0), (2, 32.0), (2, 32.0)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nothing_poisoned_becomes_a_snapshot(bad: float) -> None:
    model, optimizer, guard = started()
    assert not guard.snapshot(11, model, loss=bad)
    optimizer.state[model.lora_A]["exp_avg"][0] = bad
    assert not guard.snapshot(12, model, optimizer=optimizer)
    with torch.no_grad():
        model.lora_A[0] = bad
    assert not guard.snapshot(13, model)
    assert guard.snapshot_count() == 1


@pytest.mark.parametrize(
    ("loss", "grad_norm", "trigger"),
    [
        (None, None, None),
        (1.0, 99.0, None),
        (math.nan, 1.0, "nan_loss"),
        (1.0, math.nan, "nan_grad"),
        (1.0, 101.0, "grad_explosion"),
    ],
)
def test_triggers(loss: float | None, grad_norm: float | None, trigger: str | None) -> None:
    assert LoRAGuard().check_triggers(loss=loss, grad_norm=grad_norm) == trigger


def test_twenty_rollbacks_in_twenty_steps_are_not_allowed() -> None:
    model, guard = Weights(), LoRAGuard()
    guard.snapshot(0, model)
    done = []
    for step in range(1000, 1200):
        if guard.can_attempt_rollback(step):
            assert guard.rollback(model) == 0
            done.append(step)
    assert done == [1000, 1021, 1042]
    assert guard.n_rollbacks == 3


def test_the_present_step_can_be_given() -> None:
    model, guard = Weights(), LoRAGuard()
    guard.snapshot(100, model)
    guard.snapshot(200, model)
    assert guard.rollback(model, step=150) == 100
    assert not guard.can_attempt_rollback(170)
    assert guard.can_attempt_rollback(171)


def test_nan_moments_outlive_a_rollback_of_the_weights_alone() -> None:
    model, optimizer, guard = started()
    train(model, optimizer, 1, spoil=math.nan)
    guard.rollback(model)
    assert bool(torch.isfinite(model.lora_A).all())
    assert math.isnan(train(model, optimizer, 1))

    guard.rollback(model, optimizer=optimizer)
    assert math.isfinite(train(model, optimizer, 5))


def test_a_huge_second_moment_stalls_learning_after_a_rollback_of_the_weights_alone() -> None:
    model, optimizer, guard = started()
    untroubled = train(model, optimizer, 300)
    guard.rollback(model, optimizer=optimizer)

    train(model, optimizer, 1, spoil=1e12)
    guard.rollback(model)
    stalled = train(model, optimizer, 300)

    guard.rollback(model, optimizer=optimizer)
    assert train(model, optimizer, 300) == untroubled
    assert untroubled < 0.1
    assert stalled > 10 * untroubled


def test_frozen_parameters_are_left_alone() -> None:
    model, optimizer, guard = started()
    with torch.no_grad():
        model.frozen.fill_(7.0)
    guard.rollback(model, optimizer=optimizer)
    assert model.frozen.item() == 7.0
