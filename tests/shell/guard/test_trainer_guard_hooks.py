"""The guard's hooks, called by hand: sharding, what a caller knows, an AMP loss scaler."""

import math
from types import SimpleNamespace

import pytest
import torch

from gradience.core.guard.policy import GuardPolicy
from gradience.core.severity import Severity
from gradience.shell.guard.trainer_guard import TrainerGuard
from tests.shell.guard.faulty_trainer import Record, equal, weights

POLICY = GuardPolicy(snapshot_every=4, cooldown_steps=3, window_steps=100, settle_steps=3)

TRIGGERED = "GUARD_TRIGGERED"
QUIET = ("GUARD_INIT", "GUARD_SNAPSHOT")


def small() -> tuple[torch.nn.Module, torch.optim.Optimizer, Record]:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1), Record()


def test_under_sharding_the_guard_says_why_it_is_off_and_does_nothing() -> None:
    model, optimizer, record = small()
    guard = record.guard(POLICY)
    guard.begin(model, optimizer, SimpleNamespace(fsdp=True), 5)
    ((step, alert),) = record.alerts
    assert (step, alert.code, alert.severity) == (5, "GUARD_INIT", Severity.INFO)
    assert alert.message.startswith("the guard is off: FSDP spreads")
    assert alert.context["enabled"] is False
    (model(torch.full((1, 2), math.nan))).sum().backward()
    assert guard.before_optimizer_step(6, model, optimizer) is False
    assert model.weight.grad is not None
    assert guard.after_step(6, model, optimizer, loss=math.nan) is False
    assert (len(record.alerts), record.metrics, guard.memory_usage_mb()) == (1, [], 0.0)


def test_ended_it_leaves_no_hook_and_begun_again_it_starts_anew() -> None:
    model, optimizer, record = small()
    guard = record.guard(POLICY)
    for _ in range(2):
        guard.begin(model, optimizer)
        assert (guard.state.snapshots, guard.state.n_snapshots) == ((0,), 1)
    guard.end()
    assert not guard.enabled
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    assert guard.before_optimizer_step(1, model, optimizer) is False


def test_a_norm_or_a_loss_that_the_caller_knows_is_believed() -> None:
    model, optimizer, record = small()
    guard = record.guard(POLICY)
    guard.begin(model, optimizer)
    model(torch.ones(1, 2)).sum().backward()
    assert not guard.before_optimizer_step(1, model, optimizer)
    assert guard.before_optimizer_step(2, model, optimizer, grad_norm=101.0)
    assert model.weight.grad is None
    assert guard.before_optimizer_step(3, model, optimizer, loss=math.nan)
    assert [a.context["trigger"] for _, a in record.alerts if a.code == TRIGGERED] == [
        "grad_explosion",
        "nan_loss",
    ]


class Scaled:
    """An optimizer with a loss scaler, as accelerate wraps them."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        self.state = optimizer.state

    def train_step(
        self,
        guard: TrainerGuard,
        model: torch.nn.Module,
        step: int,
        x: float,
        *,
        unscaled: bool = True,
    ) -> bool:
        """One step as a loop with a scaler does it; whether training must stop."""
        self.optimizer.zero_grad()
        self.scaler.scale(model(torch.full((1, 2), x)).sum()).backward()
        if unscaled:
            self.scaler.unscale_(self.optimizer)
        guard.before_optimizer_step(step, model, self)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return guard.after_step(step, model, self)


def test_what_an_amp_scaler_skips_is_left_to_it() -> None:
    model, optimizer, record = small()
    scaled, guard = Scaled(optimizer), record.guard(POLICY)
    guard.begin(model, scaled)
    before = weights(model)
    assert not scaled.train_step(guard, model, 1, math.inf)
    assert equal(weights(model), before)
    assert scaled.scaler.get_scale() == 4.0, "the scaler saw the overflow and backed off"
    assert record.codes(*QUIET) == []
    assert not scaled.train_step(guard, model, 2, 1.0)
    assert not equal(weights(model), before)


def test_under_a_scaler_an_explosion_is_dropped_and_its_norm_is_the_unscaled_one() -> None:
    model, optimizer, record = small()
    scaled, guard = Scaled(optimizer), record.guard(POLICY)
    guard.begin(model, scaled)
    before = weights(model)
    scaled.train_step(guard, model, 1, 100.0)
    assert equal(weights(model), before)
    alert = record.alerts[-1][1]
    assert alert.context["grad_norm"] == pytest.approx(math.sqrt(100.0**2 * 2 + 1))
    assert scaled.scaler.get_scale() == 8.0


def test_the_scale_is_not_fetched_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer, record = small()
    scaled, guard = Scaled(optimizer), record.guard(POLICY)
    guard.begin(model, scaled)
    fetched: list[object] = []
    monkeypatch.setattr(torch.amp.GradScaler, "get_scale", fetched.append)
    scaled.train_step(guard, model, 1, 1.0)
    assert fetched == []


@pytest.mark.parametrize("unscaled", [True, False])
def test_endless_overflow_under_a_scaler_is_not_waited_out_forever(*, unscaled: bool) -> None:
    model, optimizer, record = small()
    scaled, guard = Scaled(optimizer), record.guard(POLICY)
    guard.begin(model, scaled)
    stopped = [
        scaled.train_step(guard, model, step, math.nan, unscaled=unscaled) for step in range(1, 18)
    ]
    assert stopped == [False] * 16 + [True]
    assert record.codes(*QUIET)[-1] == (17, "GUARD_ABORT_NO_SNAPSHOT")
