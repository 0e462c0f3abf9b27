"""The guard that a trainer's hooks drive: it sees every optimizer step, logged or not."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import torch

from gradience.core.guard.alerts import GuardAlert, action_alerts, guard_metrics, init_alert
from gradience.core.guard.decision import (
    Action,
    ActionKind,
    Observation,
    Phase,
    decide,
)
from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import GuardState, snapshot_due
from gradience.shell.guard.gradients import PreClipNorm, drop_gradients, look_at
from gradience.shell.guard.sharding import sharded_because
from gradience.shell.guard.snapshots import (
    SnapshotStore,
    StatefulOptimizer,
    is_healthy,
    restore_snapshot,
    take_snapshot,
    trainable_parameters,
)

AlertSink = Callable[[int, GuardAlert], None]
"""Takes the step and the alert."""

MetricsSink = Callable[[int, Mapping[str, object]], None]
"""Takes the step and the metrics of kind ``guard``."""


@runtime_checkable
class _LossScaler(Protocol):
    """A gradient scaler of torch, of whatever device."""

    def is_enabled(self) -> bool:
        """Whether it scales."""

    def scale(self, outputs: torch.Tensor) -> torch.Tensor:
        """The tensor times the present factor, without synchronising."""


_KEEP_GRADIENTS = frozenset({ActionKind.NONE, ActionKind.HOLD, ActionKind.SNAPSHOT})


class TrainerGuard:
    """Watches the optimizer steps of one training, drops bad ones and goes back where it must.

    To be called, in this order: :meth:`begin` before the first step; for each optimizer step
    :meth:`before_optimizer_step` when the gradients are complete (unscaled, clipped or not) and
    :meth:`after_step` when the step is done, both with the number that the step has afterwards;
    :meth:`end` when training ends. Parameters that become trainable later are not guarded.

    All processes of a data-parallel run decide alike, as long as each is given the same losses
    and norms: reduced gradients and weights are the same everywhere.

    Args:
        policy: The options.
        alert: Records an alert.
        metrics: Records metrics of kind ``guard``.
    """

    def __init__(self, policy: GuardPolicy, alert: AlertSink, metrics: MetricsSink) -> None:
        self.policy = policy
        self.state = GuardState()
        self.enabled = False
        """Whether the guard is at work: begun, and not sharded."""
        self._alert = alert
        self._metrics = metrics
        self._store = SnapshotStore()
        self._parameters: dict[str, torch.nn.Parameter] = {}
        self._pre_clip: PreClipNorm | None = None

    def begin(
        self,
        model: torch.nn.Module,
        optimizer: StatefulOptimizer,
        args: object = None,
        step: int = 0,
    ) -> None:
        """Starts anew: ``GUARD_INIT``, and the first snapshot.

        Args:
            model: The model.
            optimizer: The optimizer that will step, wrapped by accelerate or not.
            args: The Trainer's arguments, where there are any.
            step: Optimizer steps done before (of a resumed run).
        """
        self.end()
        self.state, self._store = GuardState(), SnapshotStore()
        reason = sharded_because(model, optimizer, args)
        self.enabled = reason is None
        if not self.enabled:
            self._alert(step, init_alert(self.policy, reason))
            return
        self._parameters = trainable_parameters(model)
        scale = _scaler_scale(optimizer)
        self._pre_clip = PreClipNorm(list(self._parameters.values()), scale)
        self._alert(step, init_alert(self.policy))
        self._record_metrics(step, None)
        self.after_step(step, model, optimizer)

    def before_optimizer_step(
        self,
        step: int,
        model: torch.nn.Module,
        optimizer: StatefulOptimizer,
        grad_norm: float | None = None,
        loss: float | None = None,
    ) -> bool:
        """Looks at gradients and weights, and drops a bad step; one synchronisation on a good one.

        A dropped step has no gradients, so the optimizer applies nothing; steps whose non-finite
        gradients an AMP scaler skips by itself are left as they are.

        Args:
            step: The step that is about to be applied: those done before, plus one.
            model: The model.
            optimizer: The optimizer.
            grad_norm: The gradients' norm before clipping, where the caller knows it; else it is
                the guard's own, measured at the end of the backward pass.
            loss: The loss of this step, where it is known.

        Returns:
            Whether the optimizer will apply nothing on the guard's account.
        """
        del model
        if not self.enabled:
            return False
        parameters = list(self._parameters.values())
        look = look_at(parameters, self._pre_clip.read() if self._pre_clip else None)
        observation = Observation(
            step=step,
            phase=Phase.BEFORE_OPTIMIZER,
            loss=loss,
            grad_norm=look.grad_norm if grad_norm is None else grad_norm,
            nonfinite_grads=look.nonfinite_grads,
            weights_finite=look.weights_finite,
            amp_scaler=_scaler_scale(optimizer) is not None,
        )
        action = self._follow(observation, optimizer)
        dropped = action.kind not in _KEEP_GRADIENTS
        if dropped and not (observation.amp_scaler and observation.nonfinite_grads):
            drop_gradients(parameters)
        return dropped

    def after_step(
        self,
        step: int,
        model: torch.nn.Module,
        optimizer: StatefulOptimizer,
        loss: float | None = None,
        *,
        about_to_save: bool = False,
    ) -> bool:
        """Takes a snapshot where one is due, after looking at weights and moments.

        Args:
            step: The step that was applied or dropped.
            model: The model.
            optimizer: The optimizer.
            loss: A training loss that became known with this step, where one did.
            about_to_save: Looks at the weights now and not with the next step's gradients: before
                a checkpoint, and after the last step.

        Returns:
            Whether training must stop.
        """
        del model
        if not self.enabled:
            return False
        healthy = None
        if about_to_save or snapshot_due(self.state, step, self.policy):
            healthy = is_healthy(self._parameters, optimizer)
        observation = Observation(
            step=step, phase=Phase.AFTER_OPTIMIZER, loss=loss, weights_finite=healthy
        )
        self._follow(observation, optimizer)
        return self.state.aborted

    def end(self) -> None:
        """Takes the hooks off the parameters; what was counted stays in :attr:`state`."""
        if self._pre_clip is not None:
            self._pre_clip.detach()
            self._pre_clip = None
        self.enabled = False

    def memory_usage_mb(self) -> float:
        """Measured size of the snapshots, MiB."""
        return self._store.memory_mb()

    def _follow(self, observation: Observation, optimizer: StatefulOptimizer) -> Action:
        """Decides, carries the decision out, and only then records it."""
        state, action = decide(self.state, observation, self.policy)
        if action.kind is ActionKind.SNAPSHOT:
            taken = take_snapshot(action.step, self._parameters, optimizer)
            self._store.add(taken, action.discard)
        elif action.kind is ActionKind.ROLLBACK and action.restore is not None:
            restore_snapshot(self._store.held[action.restore], self._parameters, optimizer)
            self._store.discard(action.discard)
        self.state = state
        alerts = action_alerts(action, observation)
        for alert in alerts:
            self._alert(action.step, alert)
        if alerts:
            self._record_metrics(action.step, action.kind)
        return action

    def _record_metrics(self, step: int, kind: ActionKind | None) -> None:
        self._metrics(step, guard_metrics(kind, self.state, self.policy, self._store.memory_mb()))


def _scaler_scale(optimizer: object) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Multiplies by the factor of accelerate's loss scaler; None where no scaler is at work."""
    scaler = getattr(optimizer, "scaler", None)
    if isinstance(scaler, _LossScaler) and scaler.is_enabled():
        return scaler.scale
    return None
