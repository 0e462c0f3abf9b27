"""Sees what the Trainer's logs hide: non-finite gradients and weights, norms before clipping."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch

from gradience.core.severity import Severity
from gradience.core.training.gradient_watch import (
    LOCAL_NORM,
    PRE_CLIP_NORM,
    Magnitudes,
    StepSight,
    WatchPolicy,
    WatchState,
    after_log,
    logged_fields,
    observe,
)
from gradience.core.training.parameter_names import owner_of
from gradience.shell.gradient_norms import (
    BackwardNorms,
    MeasuredNorms,
    gradient_norms,
    parameter_norms,
)
from gradience.shell.guard.sharding import sharded_because
from gradience.shell.trainer.parts import TrainingRun


@runtime_checkable
class _LossScaler(Protocol):
    """A gradient scaler of torch, of whatever device."""

    def is_enabled(self) -> bool:
        """Whether it scales."""

    def scale(self, outputs: torch.Tensor) -> torch.Tensor:
        """The tensor times the present factor, without synchronising."""


class GradientWatch:
    """Looks at the gradients and weights of each optimizer step, in one device synchronisation.

    The Trainer replaces a non-finite loss by the running mean before it is logged
    (``logging_nan_inf_filter``) while backward and the optimizer go on (huggingface/trl#6702), so
    this part looks at the trainable parameters themselves. An alert is recorded at the first step
    of each streak of non-finite gradients or weights; the next ``train_step`` gets the fields of
    :func:`~gradience.core.training.gradient_watch.logged_fields`. Nothing is changed, and without
    this part nothing is computed.

    Gradients are measured after the last backward pass of a step: reduced over the processes,
    not yet clipped, with an AMP loss scaler's factor divided out. Where parameters are sharded
    (FSDP, DeepSpeed) only this process's part is seen, after clipping, as the optimizer is given
    it; an info alert says so, and the norm is called ``grad_norm_local``. Parameters that become
    trainable later are seen from the next log on.

    Args:
        policy: When something is said.
    """

    def __init__(self, policy: WatchPolicy | None = None) -> None:
        self._policy = policy or WatchPolicy()
        self._state = WatchState()
        self._parameters: list[torch.nn.Parameter] = []
        self._modules: list[str] = []
        self._backward: BackwardNorms | None = None
        self._grads: MeasuredNorms | None = None
        self._scale: torch.Tensor | None = None
        self._sharded = False
        self._look_for_parameters = False

    def begin(self, run: TrainingRun, step: int) -> None:
        """Starts anew, with the parameters that are trainable now."""
        self.end(run, step)
        self._state = WatchState()
        reason = sharded_because(run.model, run.optimizer, run.args)
        self._sharded = reason is not None
        if reason is not None:
            run.alert(
                Severity.INFO,
                "gradient_watch_local",
                "weights are spread over the processes: only this process's part of gradients "
                "and weights is looked at, after clipping",
                context={"step": step},
                step=step,
            )
        self._watch_parameters(run.model)

    def before_optimizer_step(self, run: TrainingRun, step: int) -> None:
        """Keeps what is gone after the step: the scaler's factor, and gradients without hooks."""
        del step
        if not self._parameters:
            return
        if self._backward is None:
            self._grads = gradient_norms(self._parameters)
        else:
            self._grads = self._backward.take()
        scaler = getattr(run.optimizer, "scaler", None)
        self._scale = None
        if scaler is None or self._grads is None:
            return
        if isinstance(scaler, _LossScaler) and scaler.is_enabled():
            self._scale = scaler.scale(torch.ones(1, device=self._grads.norms.device))

    def after_step(self, run: TrainingRun, step: int) -> bool:
        """Looks, and says what is bad; never asks to stop."""
        if self._look_for_parameters:
            self._watch_parameters(run.model)
        if not self._parameters:
            return False
        sight = self._sight(step)
        self._state, alerts = observe(self._state, sight, self._policy)
        for alert in alerts:
            run.alert(alert.severity, alert.code, alert.message, context=alert.context, step=step)
        return False

    def log_fields(self) -> Mapping[str, object]:
        """Gradient norms and counts since the last log."""
        fields = logged_fields(self._state, LOCAL_NORM if self._sharded else PRE_CLIP_NORM)
        self._state = after_log(self._state)
        self._look_for_parameters = True
        return fields

    def end(self, run: TrainingRun, step: int) -> None:
        """Takes the hooks off the parameters."""
        del run, step
        if self._backward is not None:
            self._backward.detach()
        self._parameters, self._modules, self._backward = [], [], None
        self._grads = self._scale = None

    def _watch_parameters(self, model: torch.nn.Module) -> None:
        self._look_for_parameters = False
        found = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if [id(p) for p in found.values()] == [id(p) for p in self._parameters]:
            return
        if self._backward is not None:
            self._backward.detach()
        # places of gradients already measured hold for the parameters of before alone
        self._grads = self._scale = None
        self._parameters = list(found.values())
        self._modules = [owner_of(name) for name in found]
        self._backward = None if self._sharded else BackwardNorms(self._parameters)

    def _sight(self, step: int) -> StepSight:
        """Everything in one transfer from the device."""
        grads, weights = self._grads, parameter_norms(self._parameters)
        scale = None if self._scale is None else MeasuredNorms((), self._scale)
        self._grads = self._scale = None
        parts = [part.norms for part in (grads, weights, scale) if part is not None]
        values = _fetched(parts)
        n_grads = len(grads.places) if grads else 0
        n_weights = len(weights.places) if weights else 0
        return StepSight(
            step=step,
            grads=self._magnitudes(grads, values[:n_grads]),
            weights=self._magnitudes(weights, values[n_grads : n_grads + n_weights]),
            loss_scale=values[-1] if scale else None,
        )

    def _magnitudes(self, found: MeasuredNorms | None, values: list[float]) -> Magnitudes:
        places = found.places if found else ()
        return Magnitudes([self._modules[place] for place in places], values)


def _fetched(parts: list[torch.Tensor]) -> list[float]:
    if not parts:
        return []
    device = parts[0].device
    values: list[float] = torch.cat([part.to(device) for part in parts]).tolist()
    return values
