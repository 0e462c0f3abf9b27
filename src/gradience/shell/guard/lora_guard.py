"""The guard as a class to drive by hand, in a training loop of one's own."""

import torch

from gradience.core.errors import ConfigError
from gradience.core.guard.decision import find_trigger
from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import (
    GuardState,
    add_rollback,
    add_snapshot,
    can_roll_back,
    choose_snapshot,
)
from gradience.shell.guard.snapshots import (
    SnapshotStore,
    StatefulOptimizer,
    is_healthy,
    restore_snapshot,
    take_snapshot,
    trainable_parameters,
)


class LoRAGuard:
    """Snapshots of a model's trainable parameters, and the way back to them.

    Give the optimizer too, to ``snapshot`` and to ``rollback``: moments that met NaN or a huge
    gradient outlive a rollback of the weights alone, and spoil the next steps.

    ``check_triggers`` and ``can_attempt_rollback`` only tell; ``rollback`` does as it is told::

        if guard.check_triggers(loss=loss, grad_norm=norm):
            optimizer.zero_grad()  # in place of optimizer.step()
            if guard.can_attempt_rollback(step):
                guard.rollback(model, optimizer=optimizer)

    Args:
        policy: Ring size, thresholds and limits; the contract's defaults without it.
    """

    def __init__(self, policy: GuardPolicy | None = None) -> None:
        self.policy = policy or GuardPolicy()
        self._state = GuardState()
        self._store = SnapshotStore()
        self._step: int | None = None
        """The latest step that was spoken of."""

    @property
    def n_rollbacks(self) -> int:
        """Rollbacks so far."""
        return self._state.n_rollbacks

    def snapshot(
        self,
        step: int,
        model: torch.nn.Module,
        loss: float | None = None,
        optimizer: StatefulOptimizer | None = None,
    ) -> bool:
        """Keeps a copy of the trainable parameters, and of their optimizer state, on the CPU.

        Args:
            step: The optimizer step after which this is.
            model: The model.
            loss: The loss at that step, where it is known.
            optimizer: The optimizer, wrapped by accelerate or not.

        Returns:
            Whether a snapshot was taken: not where a parameter, the optimizer's state or the loss
            is not finite.
        """
        self._step = step
        parameters = trainable_parameters(model)
        spoilt = find_trigger(loss, None, self.policy) is not None
        if spoilt or not is_healthy(parameters, optimizer):
            return False
        taken = take_snapshot(step, parameters, optimizer)
        self._state, discarded = add_snapshot(self._state, step, self.policy)
        self._store.add(taken, discarded)
        return True

    def rollback(
        self,
        model: torch.nn.Module,
        steps_back: int | None = None,
        optimizer: StatefulOptimizer | None = None,
        *,
        step: int | None = None,
    ) -> int | None:
        """Restores a snapshot, in place.

        Args:
            model: The model.
            steps_back: 1 for the newest snapshot, 2 for the one before it (the oldest where there
                are fewer); the policy's by default.
            optimizer: The optimizer, whose state is restored with the weights.
            step: The present step, from which cooldown and window count; by default the latest
                one given to ``can_attempt_rollback`` or ``snapshot``.

        Returns:
            The step of the restored snapshot; None where there is none.

        Raises:
            ConfigError: ``steps_back`` is less than 1, or the trainable parameters are not those
                of the snapshot.
        """
        back = self.policy.steps_back if steps_back is None else steps_back
        if back < 1:
            raise ConfigError(f"steps_back: expected a whole number of at least 1, found {back}")
        now = self._step if step is None else step
        if now is None:
            return None
        restored = choose_snapshot(self._state, before=now + 1, steps_back=back)
        if restored is None:
            return None
        restore_snapshot(self._store.held[restored], trainable_parameters(model), optimizer)
        self._step = now
        self._state, discarded = add_rollback(self._state, now, restored, self.policy)
        self._store.discard(discarded)
        return restored

    def check_triggers(
        self, loss: float | None = None, grad_norm: float | None = None
    ) -> str | None:
        """What is wrong with a step.

        Args:
            loss: The training loss.
            grad_norm: The gradient norm before clipping.

        Returns:
            ``nan_loss``, ``nan_grad`` (both for infinities too) or ``grad_explosion``; None where
            nothing is wrong.
        """
        trigger = find_trigger(loss, grad_norm, self.policy)
        return None if trigger is None else trigger.value

    def can_attempt_rollback(self, step: int) -> bool:
        """Whether there is a snapshot, and a rollback at ``step`` keeps to cooldown and window.

        Both count from the steps at which rollbacks happened, not from the snapshots' steps.
        """
        self._step = step
        return bool(self._state.snapshots) and can_roll_back(self._state, step, self.policy)

    def snapshot_count(self) -> int:
        """Snapshots that are held."""
        return len(self._state.snapshots)

    def memory_usage_mb(self) -> float:
        """Measured size of the snapshots that are held, MiB."""
        return self._store.memory_mb()
