"""A real tiny Trainer, a callback that drives the guard, and faults to inject."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import attrs
import torch
from peft import PeftModel
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from gradience.core.guard.alerts import GuardAlert
from gradience.core.guard.policy import GuardPolicy
from gradience.shell.guard.snapshots import StatefulOptimizer, trainable_parameters
from gradience.shell.guard.trainer_guard import TrainerGuard
from tests.shell.trainer.tiny_trainer import Rows, tiny_model

BATCH = 4
STEPS = 24
WIDTH = 16


@attrs.define
class Record:
    """What a guard said."""

    alerts: list[tuple[int, GuardAlert]] = attrs.field(factory=list)
    metrics: list[tuple[int, Mapping[str, object]]] = attrs.field(factory=list)

    def codes(self, *but: str) -> list[tuple[int, str]]:
        """Step and code of each alert."""
        return [(step, alert.code) for step, alert in self.alerts if alert.code not in but]

    def guard(self, policy: GuardPolicy) -> TrainerGuard:
        """A guard that is recorded here."""
        return TrainerGuard(
            policy,
            lambda step, alert: self.alerts.append((step, alert)),
            lambda step, metrics: self.metrics.append((step, metrics)),
        )


class GuardDriver(TrainerCallback):
    """Drives a guard as the Trainer's hooks allow.

    ``with_moments=False`` shows the guard an optimizer without memory, so that it restores the
    weights alone: the control of the experiments.
    """

    def __init__(self, policy: GuardPolicy, *, with_moments: bool = True) -> None:
        self.record = Record()
        self.guard = self.record.guard(policy)
        self.with_moments = with_moments

    def _optimizer(self, given: object) -> StatefulOptimizer:
        shown = given if self.with_moments else _Forgetful(given)
        return cast("StatefulOptimizer", shown)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Begins."""
        del control
        model, optimizer = _module(kwargs["model"]), self._optimizer(kwargs["optimizer"])
        self.guard.begin(model, optimizer, args, state.global_step)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Shows the gradients."""
        del args, control
        model, optimizer = _module(kwargs["model"]), self._optimizer(kwargs["optimizer"])
        self.guard.before_optimizer_step(state.global_step + 1, model, optimizer)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Shows the weights."""
        del args
        model, optimizer = _module(kwargs["model"]), self._optimizer(kwargs["optimizer"])
        last = control.should_save or state.global_step >= state.max_steps
        if self.guard.after_step(state.global_step, model, optimizer, about_to_save=last):
            control.should_training_stop = True

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Ends."""
        del args, state, control, kwargs
        self.guard.end()


class _Forgetful:
    """An optimizer whose state is out of sight."""

    def __init__(self, optimizer: object) -> None:
        self.optimizer = optimizer
        self.state: dict[torch.Tensor, object] = {}


Fault = Callable[[torch.nn.Module, torch.optim.Optimizer], None]


class InjectFault(TrainerCallback):
    """Does something bad at some steps, in one of the Trainer's hooks."""

    def __init__(self, hook: str, steps: set[int], fault: Fault) -> None:
        def inject(args: object, state: TrainerState, control: object, **kwargs: object) -> None:
            del args, control
            if state.global_step + 1 in steps:
                optimizer = cast("torch.optim.Optimizer", kwargs["optimizer"])
                fault(_module(kwargs["model"]), optimizer)

        setattr(self, hook, inject)


def float_rows(count: int, nan_from: int = 0, nan_to: int = 0) -> Rows:
    """Rows of embeddings; those from ``nan_from`` up to ``nan_to`` hold NaN."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(count, 8, WIDTH, generator=generator)
    labels = (values.mean(dim=(1, 2)) > 0).long()
    values[nan_from:nan_to, 0, 0] = torch.nan
    return [
        {"inputs_embeds": row, "labels": label} for row, label in zip(values, labels, strict=True)
    ]


def faulty_trainer(
    out: Path,
    *callbacks: TrainerCallback,
    data: Rows | None = None,
    model: PeftModel | None = None,
    **arguments: object,
) -> Trainer:
    """A Trainer of :data:`STEPS` steps over rows in their order."""
    settings: dict[str, object] = {
        "max_steps": STEPS,
        "per_device_train_batch_size": BATCH,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "train_sampling_strategy": "sequential",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        **arguments,
    }
    rows = data or float_rows(BATCH * STEPS)
    trainer = Trainer(
        model=model or tiny_model(),
        args=TrainingArguments(output_dir=str(out), **settings),  # type: ignore[arg-type]  # settings of many types
        train_dataset=rows,
        eval_dataset=rows,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def weights(model: object) -> dict[str, torch.Tensor]:
    """Copies of the trainable parameters."""
    parameters = trainable_parameters(_module(model))
    return {name: p.detach().clone() for name, p in parameters.items()}


def moments(trainer: Trainer) -> list[torch.Tensor]:
    """Every floating-point tensor that the optimizer remembers."""
    assert trainer.optimizer is not None
    states = trainer.optimizer.state.values()
    return [t for state in states for t in state.values() if torch.is_tensor(t)]


def all_finite(tensors: object) -> bool:
    """Whether no tensor holds NaN or an infinity, one by one."""
    found = tensors.values() if isinstance(tensors, dict) else cast("list[torch.Tensor]", tensors)
    return all(bool(torch.isfinite(tensor).all()) for tensor in found)


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are the same to the last bit."""
    return left.keys() == right.keys() and all(
        torch.equal(left[name].view(torch.int32), right[name].view(torch.int32)) for name in left
    )


def losses(trainer: Trainer) -> list[float]:
    """The losses that the Trainer logged."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _module(model: object) -> torch.nn.Module:
    assert isinstance(model, torch.nn.Module)
    return model
