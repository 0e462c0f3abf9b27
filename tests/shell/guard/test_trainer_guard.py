"""The guard in real runs, with faults injected."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from transformers import Trainer, TrainerCallback

from gradience import api
from gradience.core.guard.policy import GuardPolicy
from gradience.core.severity import Severity
from gradience.shell.guard.snapshots import trainable_parameters
from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.shell.guard.faulty_trainer import (
    BATCH,
    STEPS,
    GuardDriver,
    InjectFault,
    all_finite,
    equal,
    faulty_trainer,
    float_rows,
    losses,
    moments,
    weights,
)
from tests.shell.trainer.tiny_trainer import tiny_model

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

POLICY = GuardPolicy(snapshot_every=4, cooldown_steps=3, window_steps=100, settle_steps=3)
AT = 10
"""The step at which something happens."""

TRIGGERED, WENT_BACK = "GUARD_TRIGGERED", "GUARD_ROLLBACK"
QUIET = ("GUARD_INIT", "GUARD_SNAPSHOT")


def lose_weights(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del optimizer
    with torch.no_grad():
        next(iter(trainable_parameters(model).values()))[0] = math.nan


def one_infinite_gradient(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del optimizer
    grad = next(p.grad for p in model.parameters() if p.grad is not None)
    grad[0] = math.inf


def nan_gradients(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del optimizer
    for parameter in trainable_parameters(model).values():
        if parameter.grad is not None:
            parameter.grad.fill_(math.nan)


def huge_gradients(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del optimizer
    for parameter in trainable_parameters(model).values():
        if parameter.grad is not None:
            parameter.grad.fill_(1e15)


def huge_rate(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del model
    for group in optimizer.param_groups:
        group["lr"] = 1e4


class LosesWeights(InjectFault):
    """A second fault beside the first: the Trainer warns of two callbacks of one class."""


class WeightsOfEachStep(TrainerCallback):
    """Copies the trainable parameters after each step."""

    def __init__(self) -> None:
        self.after: dict[int, dict[str, torch.Tensor]] = {}

    def on_step_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
        """Copies."""
        del args, control
        self.after[cast("SimpleNamespace", state).global_step] = weights(kwargs["model"])


def run(out: Path, *callbacks: TrainerCallback, **arguments: object) -> Trainer:
    trainer = faulty_trainer(out, *callbacks, **arguments)  # type: ignore[arg-type]  # settings of many types
    trainer.train()
    return trainer


def nan_in_batches(first: int, last: int) -> dict[str, object]:
    """Data whose batches of these steps hold a NaN each."""
    rows = float_rows(BATCH * STEPS)
    for step in range(first, last + 1):
        rows[BATCH * (step - 1)]["inputs_embeds"][0, 0] = math.nan
    return {"data": rows}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_healthy_run_is_the_same_to_the_last_bit(tmp_path: Path, accumulation: int) -> None:
    arguments = {
        "gradient_accumulation_steps": accumulation,
        "max_steps": 12,
        "lr_scheduler_type": "linear",
    }
    driver = GuardDriver(POLICY)
    guarded = run(tmp_path, driver, **arguments)
    alone = run(tmp_path, **arguments)
    assert equal(weights(guarded.model), weights(alone.model))
    assert losses(guarded) == losses(alone)
    assert driver.record.codes("GUARD_INIT") == [(s, "GUARD_SNAPSHOT") for s in (0, 4, 8, 12)]


def test_nan_in_a_batch_costs_one_step(tmp_path: Path) -> None:
    driver, seen = GuardDriver(POLICY), WeightsOfEachStep()
    trainer = run(tmp_path, driver, seen, **nan_in_batches(AT, AT))
    assert driver.record.codes(*QUIET) == [(AT, TRIGGERED)]
    assert equal(seen.after[AT], seen.after[AT - 1])
    assert not equal(seen.after[AT + 1], seen.after[AT])
    assert trainer.state.global_step == STEPS
    assert (driver.guard.state.n_dropped, driver.guard.state.n_rollbacks) == (1, 0)
    assert all_finite(weights(trainer.model))
    assert all_finite(moments(trainer))


def test_without_the_guard_one_such_batch_is_the_end_and_the_logs_hide_it(tmp_path: Path) -> None:
    trainer = run(tmp_path, **nan_in_batches(AT, AT))
    assert not all_finite(weights(trainer.model))
    assert all(math.isfinite(loss) for loss in losses(trainer))


def test_nan_in_a_micro_batch_is_seen(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    data = nan_in_batches(AT, AT)
    trainer = run(tmp_path, driver, gradient_accumulation_steps=2, max_steps=8, **data)
    assert driver.record.codes(*QUIET) == [(AT // 2, TRIGGERED)]
    assert all_finite(weights(trainer.model))


def test_an_infinite_gradient_is_stopped_before_the_optimizer(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    fault = InjectFault("on_pre_optimizer_step", {AT}, one_infinite_gradient)
    trainer = run(tmp_path, fault, driver)
    assert driver.record.codes(*QUIET) == [(AT, TRIGGERED)]
    assert driver.guard.state.n_dropped == 1
    assert all_finite(weights(trainer.model))
    assert all_finite(moments(trainer))


def test_an_exploding_learning_rate_is_seen_through_clipping_and_undone(tmp_path: Path) -> None:
    driver, seen = GuardDriver(POLICY), WeightsOfEachStep()
    fault = InjectFault("on_step_begin", {AT}, huge_rate)
    trainer = run(tmp_path, fault, driver, seen, lr_scheduler_type="linear")
    ((step, alert),) = [a for a in driver.record.alerts if a[1].code == WENT_BACK]
    assert alert.severity is Severity.WARNING
    assert alert.context["trigger"] == "grad_explosion"
    assert alert.context["restored_step"] == 8
    assert equal(seen.after[step], seen.after[8])
    assert max(float(t.abs().max()) for t in weights(trainer.model).values()) < 10
    exploded = [a for _, a in driver.record.alerts if a.code == TRIGGERED]
    assert all(cast("float", alert.context["grad_norm"]) > 100 for alert in exploded)


def test_the_learning_rate_goes_on_from_where_it_was(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    fault = InjectFault("on_step_begin", {AT}, lose_weights)
    trainer = run(tmp_path, fault, driver, lr_scheduler_type="linear")
    assert driver.guard.state.n_rollbacks == 1
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert rates == pytest.approx([1e-2 * (1 - step / STEPS) for step in range(STEPS)])


def test_corrupted_weights_are_put_back(tmp_path: Path) -> None:
    driver, seen = GuardDriver(POLICY), WeightsOfEachStep()
    trainer = run(tmp_path, InjectFault("on_step_begin", {AT}, lose_weights), driver, seen)
    assert driver.record.codes(*QUIET) == [(AT, TRIGGERED), (AT, WENT_BACK)]
    assert equal(seen.after[AT], seen.after[8])
    assert all_finite(weights(trainer.model))


def test_weights_lost_in_the_last_step_are_put_back_before_they_are_saved(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    fault = InjectFault("on_optimizer_step", {STEPS - 1, STEPS}, lose_weights)
    trainer = run(tmp_path, fault, driver, max_steps=STEPS - 1)
    assert driver.record.codes(*QUIET)[-1] == (STEPS - 1, WENT_BACK)
    assert all_finite(weights(trainer.model))


def test_repeated_faults_abort_cleanly(tmp_path: Path) -> None:
    driver = GuardDriver(GuardPolicy(snapshot_every=2, cooldown_steps=1, max_rollbacks=2))
    trainer = run(tmp_path, driver, **nan_in_batches(AT, STEPS))
    codes = [code for _, code in driver.record.codes(*QUIET, TRIGGERED)]
    assert codes == [WENT_BACK, WENT_BACK, "GUARD_ABORT"]
    assert trainer.state.global_step == driver.record.alerts[-1][0] < STEPS
    assert driver.record.metrics[-1][1]["action"] == "abort"
    assert all_finite(weights(trainer.model))


def test_nan_from_the_first_step_aborts_for_want_of_a_snapshot(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    trainer = run(tmp_path, driver, **nan_in_batches(1, STEPS))
    assert driver.record.codes(*QUIET)[-1] == (3, "GUARD_ABORT_NO_SNAPSHOT")
    assert trainer.state.global_step == 3


@pytest.mark.parametrize("with_moments", [True, False], ids=["ours", "weights alone"])
def test_nan_moments_outlive_a_rollback_of_the_weights_alone(
    tmp_path: Path, *, with_moments: bool
) -> None:
    driver = GuardDriver(POLICY, with_moments=with_moments)
    fault = InjectFault("on_pre_optimizer_step", {AT}, nan_gradients)  # after the guard looked
    trainer = run(tmp_path, driver, fault)
    went_back = [step for step, code in driver.record.codes() if code == WENT_BACK]
    assert went_back[0] == AT + 1
    assert (len(went_back) == 1) is with_moments
    assert all_finite(weights(trainer.model)) is with_moments
    assert all_finite(moments(trainer)) is with_moments


@pytest.mark.parametrize("with_moments", [True, False], ids=["ours", "weights alone"])
def test_a_huge_second_moment_stalls_learning_after_a_rollback_of_the_weights_alone(
    tmp_path: Path, *, with_moments: bool
) -> None:
    driver, seen = GuardDriver(POLICY, with_moments=with_moments), WeightsOfEachStep()
    faults = (
        InjectFault("on_pre_optimizer_step", {3}, huge_gradients),
        LosesWeights("on_optimizer_step", {3}, lose_weights),
    )
    run(tmp_path, driver, *faults, seen, max_steps=60, data=float_rows(BATCH * 60))
    assert driver.guard.state.n_rollbacks == 1
    moved = max(
        float((seen.after[60][name] - old).abs().max()) for name, old in seen.after[58].items()
    )
    rate = 1e-2
    assert (moved > rate / 2) if with_moments else (moved < rate / 10)


def test_metrics_follow_every_action(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    run(tmp_path, InjectFault("on_step_begin", {AT}, lose_weights), driver, max_steps=12)
    actions = [(step, metrics["action"]) for step, metrics in driver.record.metrics]
    assert actions == [
        (0, "init"), (0, "snapshot"), (4, "snapshot"), (8, "snapshot"), (AT, "rollback"),
    ]  # fmt: skip
    last = driver.record.metrics[-1][1]
    assert (last["ring_size"], last["snapshot_count"], last["n_rollbacks"]) == (5, 3, 1)
    assert last["memory_mb"] == driver.guard.memory_usage_mb() > 0


@pytest.mark.parametrize(
    ("last", "policy", "expected"),
    [
        (AT, POLICY, ("guard_intervention", "dropped 1 step, at step 10")),
        (AT + 2, POLICY, ("guard_intervention", "went back 1 time (to the weights of step 8)")),
        (
            STEPS,
            GuardPolicy(snapshot_every=2, cooldown_steps=1, max_rollbacks=1),
            ("guard_abort", "the guard stopped the run at step"),
        ),
    ],
)
def test_monitor_reads_what_the_guard_leaves(
    tmp_path: Path, last: int, policy: GuardPolicy, expected: tuple[str, str]
) -> None:
    driver = GuardDriver(policy)
    run(tmp_path, driver, **nan_in_batches(AT, last))
    with TelemetryWriter(tmp_path / "run.jsonl") as writer:
        writer.run_start({})
        for step, alert in driver.record.alerts:
            writer.alert(
                alert.severity, alert.code, alert.message, context=alert.context, step=step
            )
        for step, metrics in driver.record.metrics:
            writer.metrics(step, kind="guard", metrics=metrics)
    report = api.monitor(tmp_path / "run.jsonl")
    found = {alert.code: alert for alert in report.alerts}
    assert expected[1] in found[expected[0]].message
    assert found[expected[0]].first_step == AT or expected[0] == "guard_abort"
    assert report.guard.metrics["n_rollbacks"] == driver.guard.state.n_rollbacks
    assert TelemetryReader(tmp_path / "run.jsonl").validate() == ()


def test_a_checkpoint_is_never_of_poisoned_weights(tmp_path: Path) -> None:
    driver = GuardDriver(POLICY)
    fault = InjectFault("on_optimizer_step", {AT}, lose_weights)
    run(tmp_path, fault, driver, save_strategy="steps", save_steps=AT, max_steps=AT + 1)
    from safetensors.torch import load_file

    saved = load_file(tmp_path / f"checkpoint-{AT}" / "adapter_model.safetensors")
    assert all_finite(saved)


def test_a_tiny_model_is_guarded_whole() -> None:
    names = trainable_parameters(tiny_model())
    assert any("lora_A" in name for name in names)
    assert any("modules_to_save" in name for name in names)
