"""Drives parts of the callback in a real Trainer, as the interface of parts describes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gradience.core.severity import Severity
from gradience.shell.trainer.parts import TrainingPart, TrainingRun


class SeenAlert(NamedTuple):
    """An alert that a part recorded."""

    step: int
    severity: Severity
    code: str
    context: Mapping[str, object]


Fault = Callable[[torch.nn.Module], None]


class PartDriver(TrainerCallback):
    """Calls one part and keeps what it records; damages the run before the part looks."""

    def __init__(
        self,
        part: TrainingPart,
        *,
        at_step_begin: Mapping[int, Fault] | None = None,
        at_step_end: Mapping[int, Fault] | None = None,
    ) -> None:
        self.part = part
        self.alerts: list[SeenAlert] = []
        self.metrics: list[tuple[int, str, Mapping[str, object]]] = []
        self.logs: list[tuple[int, Mapping[str, object], Mapping[str, object]]] = []
        """Step, what the Trainer logged, and the part's fields."""
        self._begin_faults = at_step_begin or {}
        self._end_faults = at_step_end or {}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Begins."""
        del control
        self.part.begin(self._run(args, kwargs), state.global_step)

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Damages."""
        del control
        fault = self._begin_faults.get(state.global_step + 1)
        if fault:
            fault(self._run(args, kwargs).model)

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Gradients are complete."""
        del control
        self.part.before_optimizer_step(self._run(args, kwargs), state.global_step + 1)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """The step is done."""
        run = self._run(args, kwargs)
        fault = self._end_faults.get(state.global_step)
        if fault:
            fault(run.model)
        if self.part.after_step(run, state.global_step):
            control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, object] | None = None,
        **kwargs: object,
    ) -> None:
        """Fields for a train_step."""
        del args, control, kwargs
        if logs and "loss" in logs:
            self.logs.append((state.global_step, dict(logs), self.part.log_fields()))

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """Ends."""
        del control
        self.part.end(self._run(args, kwargs), state.global_step)

    def _run(self, args: TrainingArguments, kwargs: Mapping[str, object]) -> TrainingRun:
        return TrainingRun(
            args=args,
            model=cast("torch.nn.Module", kwargs["model"]),
            optimizer=cast("torch.optim.Optimizer | None", kwargs.get("optimizer")),
            alert=self._alert,
            metrics=self._metrics,
        )

    def _alert(
        self,
        severity: Severity,
        code: str,
        message: str,
        *,
        context: Mapping[str, object],
        step: int,
    ) -> None:
        assert message
        self.alerts.append(SeenAlert(step, severity, code, context))

    def _metrics(self, step: int, *, kind: str, metrics: Mapping[str, object]) -> None:
        self.metrics.append((step, kind, metrics))
