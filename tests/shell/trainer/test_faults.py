"""Faults in a real Trainer, recorded and guarded by the one line, and monitor's reading of them."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Trainer

from gradience import api
from gradience.core.monitoring.report import MonitorReport
from gradience.core.telemetry.events import Metrics
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.shell.guard.faulty_trainer import (
    BATCH,
    STEPS,
    InjectFault,
    all_finite,
    equal,
    faulty_trainer,
    float_rows,
    losses,
    moments,
    weights,
)
from tests.shell.trainer.tiny_trainer import Rows
from tests.tiny_models import peft_warns

pytestmark = [pytest.mark.trainer, peft_warns]

AT = 14


def _rows_with_nan(*steps: int) -> Rows:
    rows = float_rows(BATCH * STEPS)
    for step in steps:
        rows[BATCH * (step - 1)]["inputs_embeds"][0, 0] = math.nan
    return rows


def _guarded(**settings: object) -> GradienceCallback:
    return GradienceCallback(
        GradienceCallbackConfig(
            enable_guard=True,
            guard_snapshot_every=4,
            guard_cooldown_steps=2,
            **settings,  # type: ignore[arg-type]  # settings of many types
        )
    )


def _read(trainer: Trainer) -> MonitorReport:
    return api.monitor(Path(str(trainer.args.output_dir)) / "run.jsonl")


def _codes(report: MonitorReport) -> set[str]:
    return {alert.code for alert in report.alerts}


def _lose_weights(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    del optimizer
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.fill_(math.nan)


def test_everything_on_a_healthy_run_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    callback = _guarded(spectra_every=5)
    watched = faulty_trainer(tmp_path / "watched", callback)
    watched.train()
    alone = faulty_trainer(tmp_path / "alone")
    alone.train()
    assert equal(weights(watched.model), weights(alone.model))
    assert losses(watched) == losses(alone)
    report = _read(watched)
    assert report.run.outcome.value == "ok"
    assert not _codes(report) & {"guard_intervention", "nonfinite_gradients", "part_failed"}
    assert callback.dropped_events == 0


def test_a_nan_that_the_trainers_logs_hide_is_seen(tmp_path: Path) -> None:
    trainer = faulty_trainer(tmp_path, GradienceCallback(), data=_rows_with_nan(AT))
    trainer.train()
    assert all(math.isfinite(loss) for loss in losses(trainer))
    assert not all_finite(weights(trainer.model))
    report = _read(trainer)
    assert {"nonfinite_gradients", "nonfinite_parameters"} <= _codes(report)


def test_one_bad_batch_costs_one_step_and_is_told(tmp_path: Path) -> None:
    trainer = faulty_trainer(tmp_path, _guarded(), data=_rows_with_nan(AT))
    trainer.train()
    assert all_finite(weights(trainer.model))
    assert all_finite(moments(trainer))
    report = _read(trainer)
    assert report.run.outcome.value == "ok"
    assert "guard_intervention" in _codes(report)
    assert "nonfinite_parameters" not in _codes(report)


def test_lost_weights_come_back(tmp_path: Path) -> None:
    fault = InjectFault("on_step_begin", {AT}, _lose_weights)
    trainer = faulty_trainer(tmp_path, fault, _guarded())
    trainer.train()
    assert all_finite(weights(trainer.model))
    found = {alert.code: alert for alert in _read(trainer).alerts}
    assert "went back 1 time (to the weights of step 12)" in found["guard_intervention"].message


@pytest.mark.parametrize("strategy", ["epoch", "best"])
def test_no_checkpoint_holds_lost_weights(strategy: str, tmp_path: Path) -> None:
    epoch = 7  # no snapshot is due at its end
    trainer = faulty_trainer(
        tmp_path,
        InjectFault("on_optimizer_step", {epoch}, _lose_weights),
        _guarded(),
        data=float_rows(BATCH * (epoch if strategy == "epoch" else STEPS)),
        save_strategy=strategy,
        eval_strategy="no" if strategy == "epoch" else "steps",
        eval_steps=epoch,
        metric_for_best_model="loss",
        max_steps=epoch + 2,
    )
    trainer.train()
    saved = load_file(tmp_path / f"checkpoint-{epoch}" / "adapter_model.safetensors")
    assert all_finite(saved)


def test_a_run_beyond_help_is_aborted(tmp_path: Path) -> None:
    bad = _rows_with_nan(*range(AT, STEPS + 1))
    trainer = faulty_trainer(tmp_path, _guarded(guard_max_rollbacks=1), data=bad)
    trainer.train()
    assert trainer.state.global_step < STEPS
    assert all_finite(weights(trainer.model))
    report = _read(trainer)
    assert report.run.outcome.value == "aborted"
    assert "guard_abort" in _codes(report)


def test_spectra_are_recorded_every_so_many_steps(tmp_path: Path) -> None:
    callback = GradienceCallback(GradienceCallbackConfig(spectra_every=10))
    trainer = faulty_trainer(tmp_path, callback)
    trainer.train()
    events = TelemetryReader(tmp_path / "run.jsonl").iter_events("metrics")
    spectral = [e for e in events if isinstance(e, Metrics) and e.kind == "spectral"]
    assert [event.step for event in spectral] == [10, 20]
    modules = spectral[-1].metrics["modules"]
    assert isinstance(modules, dict)
    assert all(found["delta_sigma_max"] > 0 for found in modules.values())
