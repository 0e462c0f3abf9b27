"""The watch in a real Trainer, with faults that the logs do not show."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, cast

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from gradience.core.severity import Severity
from gradience.shell.trainer.gradient_watch import GradientWatch
from gradience.shell.trainer.parts import TrainingRun
from tests.shell.trainer.part_driver import PartDriver
from tests.shell.trainer.tiny_trainer import tiny_model, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

LAYER = "distilbert.transformer.layer.0.attention"
HEAD = {"classifier", "pre_classifier"}


def numbers(values: object) -> dict[str, float]:
    assert isinstance(values, dict)
    return values


def trainable(model: torch.nn.Module, part: str) -> torch.nn.Parameter:
    named = model.named_parameters()
    return next(p for name, p in named if p.requires_grad and part in name)


def spoil(part: str, value: float = math.nan) -> object:
    def fault(model: torch.nn.Module) -> None:
        with torch.no_grad():
            trainable(model, part).view(-1)[0] = value

    return fault


class SpoilsLoss(Trainer):
    """Multiplies the loss of some steps."""

    factors: ClassVar[dict[int, float]] = {}

    def compute_loss(self, *args: object, **kwargs: object) -> torch.Tensor:
        """The Trainer's own, times the factor."""
        loss = super().compute_loss(*args, **kwargs)  # type: ignore[arg-type]  # handed on
        assert isinstance(loss, torch.Tensor)
        return loss * self.factors.get(self.state.global_step + 1, 1.0)


def run_with_losses(out: Path, factors: dict[int, float]) -> PartDriver:
    driver = PartDriver(GradientWatch())
    trainer = tiny_trainer(out, driver, logging_steps=8)
    trainer.__class__ = SpoilsLoss
    SpoilsLoss.factors = factors
    trainer.train()
    return driver


def test_a_nan_loss_that_the_trainer_hides_is_seen(tmp_path: Path) -> None:
    driver = run_with_losses(tmp_path, {3: math.nan})
    logged = [log["loss"] for _, log, _ in driver.logs]
    assert all(isinstance(loss, float) and math.isfinite(loss) for loss in logged)
    assert [(a.step, a.severity, a.code) for a in driver.alerts[:2]] == [
        (3, Severity.WARNING, "nonfinite_gradients"),
        (3, Severity.ERROR, "nonfinite_parameters"),
    ]
    fields = driver.logs[-1][2]
    assert (fields["nonfinite_grad_steps"], fields["nonfinite_param_steps"]) == (6, 6)
    assert math.isfinite(cast("float", fields["grad_norm_preclip_max"]))
    assert len(driver.alerts) == 2


def test_an_infinite_gradient_names_the_module_though_clipping_spoils_all(tmp_path: Path) -> None:
    def fault(model: torch.nn.Module) -> None:
        def explode(gradient: torch.Tensor) -> torch.Tensor:
            return torch.full_like(gradient, math.inf)

        hooks.append(trainable(model, "v_lin.lora_B").register_hook(explode))  # type: ignore[no-untyped-call]  # untyped in torch

    hooks: list[object] = []
    driver = PartDriver(GradientWatch(), at_step_begin={5: fault})
    tiny_trainer(tmp_path, driver).train()
    first = driver.alerts[0]
    assert (first.step, first.code) == (5, "nonfinite_gradients")
    assert first.context["modules"] == [f"{LAYER}.v_lin"]
    assert first.context["count"] == 1


def test_weights_damaged_between_steps_are_seen_after_the_step(tmp_path: Path) -> None:
    fault = spoil("q_lin.lora_A", math.inf)
    driver = PartDriver(GradientWatch(), at_step_end={4: fault})  # type: ignore[dict-item]  # a fault
    tiny_trainer(tmp_path, driver).train()
    first = driver.alerts[0]
    assert (first.step, first.severity, first.code) == (4, Severity.ERROR, "nonfinite_parameters")
    assert first.context["modules"] == [f"{LAYER}.q_lin"]
    assert [a.code for a in driver.alerts].count("nonfinite_parameters") == 1


def test_a_healthy_run_is_silent_and_its_weights_are_the_same(tmp_path: Path) -> None:
    watched, plain = tiny_model(), tiny_model()
    driver = PartDriver(GradientWatch())
    tiny_trainer(tmp_path, driver, model=watched).train()
    tiny_trainer(tmp_path, TrainerCallback(), model=plain).train()
    assert driver.alerts == []
    assert driver.metrics == []
    pairs = zip(watched.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("accumulation", [1, 3])
def test_the_norm_is_the_trainers_own_before_clipping(tmp_path: Path, accumulation: int) -> None:
    driver = PartDriver(GradientWatch())
    tiny_trainer(
        tmp_path,
        driver,
        logging_steps=1,
        max_grad_norm=1e-3,
        gradient_accumulation_steps=accumulation,
    ).train()
    assert len(driver.logs) == 8
    for _, log, fields in driver.logs:
        assert fields["grad_norm_preclip"] == pytest.approx(log["grad_norm"], rel=1e-5)
        assert cast("float", fields["grad_norm_preclip"]) > 1e-3
        assert fields["nonfinite_grad_steps"] == fields["nonfinite_param_steps"] == 0


def test_hooks_are_gone_after_training(tmp_path: Path) -> None:
    model = tiny_model()
    tiny_trainer(tmp_path, PartDriver(GradientWatch()), model=model).train()
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_two_trainings_are_apart(tmp_path: Path) -> None:
    driver = PartDriver(GradientWatch(), at_step_end={8: spoil("classifier")})  # type: ignore[dict-item]  # a fault
    trainer = tiny_trainer(tmp_path, driver)
    trainer.train()
    assert [a.code for a in driver.alerts] == ["nonfinite_parameters"]
    trainer.model = tiny_model()
    driver._end_faults = {}
    trainer.train()
    assert len(driver.alerts) == 1


def by_hand(model: torch.nn.Module, optimizer: object = None, **args: object) -> TrainingRun:
    driver = PartDriver(GradientWatch())
    run = driver._run(
        cast("TrainingArguments", SimpleNamespace(**args)), {"model": model, "optimizer": optimizer}
    )
    alerts.clear()
    return TrainingRun(
        args=run.args,
        model=run.model,
        optimizer=run.optimizer,
        alert=keep_alert,
        metrics=run.metrics,
    )


alerts: list[tuple[Severity, str, str]] = []


def keep_alert(severity: Severity, code: str, message: str, **rest: object) -> None:
    assert rest.keys() == {"context", "step"}
    alerts.append((severity, code, message))


def step_by_hand(watch: GradientWatch, run: TrainingRun, step: int, factor: float = 1.0) -> None:
    total = sum(p.sum() for p in run.model.parameters() if p.requires_grad)
    if isinstance(total, torch.Tensor):
        (factor * total).backward()  # type: ignore[no-untyped-call]  # untyped in torch
    watch.before_optimizer_step(run, step)
    for parameter in run.model.parameters():
        parameter.grad = None
    assert watch.after_step(run, step) is False


def test_a_model_without_trainable_parameters_is_left_alone() -> None:
    model = torch.nn.Linear(2, 2).requires_grad_(False)  # noqa: FBT003  torch's own order
    watch, run = GradientWatch(), by_hand(model)
    watch.begin(run, 0)
    step_by_hand(watch, run, 1)
    assert watch.log_fields() == {}


def test_parameters_that_become_trainable_are_seen_after_the_next_log() -> None:
    model = torch.nn.Linear(3, 1)
    model.weight.requires_grad_(False)  # noqa: FBT003  torch's own order
    watch, run = GradientWatch(), by_hand(model)
    watch.begin(run, 0)
    model.weight.requires_grad_(True)  # noqa: FBT003  torch's own order
    step_by_hand(watch, run, 1)
    assert watch.log_fields()["grad_norm_preclip"] == 1.0
    step_by_hand(watch, run, 2)
    step_by_hand(watch, run, 3)
    assert watch.log_fields()["grad_norm_preclip"] == pytest.approx(2.0)


class _Optimizer:
    """As accelerate wraps one."""

    def __init__(self, scaler: torch.amp.GradScaler) -> None:
        self.scaler = scaler


def test_a_loss_scalers_factor_is_divided_out_and_its_overflow_is_an_info() -> None:
    model = torch.nn.Linear(3, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(1))
    watch, run = GradientWatch(), by_hand(model, _Optimizer(scaler))
    watch.begin(run, 0)
    step_by_hand(watch, run, 1, factor=1024.0)
    assert watch.log_fields()["grad_norm_preclip"] == pytest.approx(2.0)
    step_by_hand(watch, run, 2, factor=math.inf)
    assert [(severity, code) for severity, code, _ in alerts] == [
        (Severity.INFO, "nonfinite_gradients")
    ]


def test_a_step_that_a_real_scaler_skips_leaves_the_weights_and_an_info() -> None:
    model = torch.nn.Linear(3, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    watch, run = GradientWatch(), by_hand(model, _Optimizer(scaler))
    watch.begin(run, 0)
    norms = []
    for step, factor in enumerate([1.0, math.inf, 1.0], start=1):
        total = model.weight.sum() + model.bias.sum()
        scaler.scale(factor * total).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        scaler.unscale_(inner)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        watch.before_optimizer_step(run, step)
        scaler.step(inner)
        scaler.update()
        inner.zero_grad()
        watch.after_step(run, step)
        norms.append(watch.log_fields().get("grad_norm_preclip"))
    assert norms == [pytest.approx(2.0), None, pytest.approx(2.0)]
    assert scaler.get_scale() == 512.0
    assert [(severity, code) for severity, code, _ in alerts] == [
        (Severity.INFO, "nonfinite_gradients")
    ]


def test_a_disabled_scaler_is_none() -> None:
    model = torch.nn.Linear(3, 1)
    watch, run = (
        GradientWatch(),
        by_hand(model, _Optimizer(torch.amp.GradScaler("cpu", enabled=False))),
    )
    watch.begin(run, 0)
    step_by_hand(watch, run, 1, factor=math.nan)
    assert alerts[0][0] is Severity.WARNING


def test_a_sharded_run_says_what_it_sees() -> None:
    model = torch.nn.Linear(3, 1)
    watch, run = GradientWatch(), by_hand(model, fsdp=["full_shard"])
    watch.begin(run, 0)
    assert alerts[0][:2] == (Severity.INFO, "gradient_watch_local")
    assert "only this process's part" in alerts[0][2]
    step_by_hand(watch, run, 1)
    fields = watch.log_fields()
    assert fields["grad_norm_local"] == pytest.approx(2.0)
    assert "grad_norm_preclip" not in fields


def test_one_transfer_from_the_device_in_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(3, 1)
    scaler = torch.amp.GradScaler("cpu")
    watch, run = GradientWatch(), by_hand(model, _Optimizer(scaler))
    watch.begin(run, 0)
    synchronised: list[str] = []
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__"):
        plain = getattr(torch.Tensor, name)

        def counted(
            tensor: torch.Tensor, *rest: object, name: str = name, plain: object = plain
        ) -> object:
            synchronised.append(name)
            return plain(tensor, *rest)  # type: ignore[operator]  # the method

        monkeypatch.setattr(torch.Tensor, name, counted)
    step_by_hand(watch, run, 1)
    assert synchronised == ["tolist"]
