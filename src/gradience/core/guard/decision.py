"""What the guard does about a step: (state, observation, policy) → (state, action), purely.

A step is observed twice, before the optimizer applies it and after. It is *untrusted* where

- a parameter or a moment is not finite (``nan_weights``),
- the loss is not finite (``nan_loss``),
- a gradient or its norm is not finite (``nan_grad``), or
- the norm of the gradients exceeds the threshold (``grad_explosion``),

the first of these being the trigger. What follows:

1. Seen before the optimizer applies it, an untrusted step is **dropped**: no parameter and no
   moment changes, so nothing has to be undone. Seen only after (a loss), it is on record.
2. With ``patience`` untrusted steps in a row, or with weights that are not finite (no later batch
   mends those), the guard **goes back**: to the newest snapshot of an earlier step, passing over
   the one that the present weights are a copy of. Gradients were found wrong at exactly those
   weights, and restoring them changes nothing.
3. Within the cooldown there is no rollback: steps are dropped, and counted.
4. Where one rollback more would exceed the window's limit, or no snapshot can be restored, it
   **aborts**; afterwards it only drops.

Cooldown and window count from the step at which the guard went back. Under an AMP loss scaler
non-finite gradients are the scaler's business, which skips the step itself: the guard leaves them
alone and says nothing, until there were ``patience_with_scaler`` in a row.
"""

import math
from enum import Enum
from typing import NamedTuple

import attrs

from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import (
    GuardState,
    add_rollback,
    add_snapshot,
    choose_snapshot,
    cooling_down,
    rollbacks_in_window,
    snapshot_due,
)


class Trigger(Enum):
    """What makes a step untrusted."""

    NAN_LOSS = "nan_loss"
    NAN_GRAD = "nan_grad"
    GRAD_EXPLOSION = "grad_explosion"
    NAN_WEIGHTS = "nan_weights"


class Phase(Enum):
    """When a step is observed."""

    BEFORE_OPTIMIZER = "before_optimizer"
    AFTER_OPTIMIZER = "after_optimizer"


class ActionKind(Enum):
    """What the guard does; the value is ``action`` in its metrics."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    DROP_STEP = "drop_step"
    HOLD = "hold"
    """A step that was applied is untrusted, and nothing is undone yet."""
    ROLLBACK = "rollback"
    ABORT = "abort"
    ABORT_NO_SNAPSHOT = "abort_no_snapshot"


@attrs.frozen(kw_only=True)
class Observation:
    """What is known of one step in one phase; a step is numbered as after the optimizer's step."""

    step: int
    phase: Phase
    loss: float | None = None
    """None where it is not known."""
    grad_norm: float | None = None
    """L2 norm of the trainable parameters' gradients, before clipping where that is known."""
    nonfinite_grads: bool = False
    """Whether a gradient holds NaN or an infinity."""
    weights_finite: bool | None = None
    """Whether all trainable parameters (and moments, after the step) are; None: not looked at."""
    amp_scaler: bool = False
    """Whether a loss scaler skips steps with non-finite gradients itself."""


@attrs.frozen(kw_only=True)
class Action:
    """What to do about a step. All but ``NONE``, ``SNAPSHOT`` and ``HOLD`` drop it."""

    kind: ActionKind
    step: int
    trigger: Trigger | None = None
    in_a_row: int = 0
    """Untrusted steps in a row, this one included."""
    restore: int | None = None
    """Step of the snapshot to restore."""
    discard: tuple[int, ...] = ()
    """Steps of the snapshots that are held no longer."""
    cooling_down: bool = False
    """Whether the cooldown stands in the way of a rollback."""


class Decision(NamedTuple):
    """The state after an observation, and what to do."""

    state: GuardState
    action: Action


def find_trigger(
    loss: float | None, grad_norm: float | None, policy: GuardPolicy
) -> Trigger | None:
    """The trigger that a loss and a gradient norm set off.

    Args:
        loss: The training loss; None where it is not known.
        grad_norm: The gradient norm before clipping; None where it is not known.
        policy: The thresholds.

    Returns:
        ``nan_loss`` and ``nan_grad`` for NaN and for infinities, ``grad_explosion`` for a finite
        norm above ``policy.grad_threshold``; None where nothing is wrong.
    """
    if loss is not None and not math.isfinite(loss):
        return Trigger.NAN_LOSS
    if grad_norm is not None and not math.isfinite(grad_norm):
        return Trigger.NAN_GRAD
    if grad_norm is not None and grad_norm > policy.grad_threshold:
        return Trigger.GRAD_EXPLOSION
    return None


def decide(state: GuardState, observation: Observation, policy: GuardPolicy) -> Decision:
    """What the guard does about a step: see the module's description for the rules.

    Args:
        state: The state after the observation before; ``GuardState()`` at the beginning.
        observation: The step. Steps that do not ascend are no error: neither the cooldown nor the
            window is evaded by them.
        policy: The thresholds.

    Returns:
        The state and the action; the caller must carry the action out before it goes on.
    """
    seen = _at_step(state, observation.step)
    trigger = _trigger(observation, policy)
    if trigger is None:
        return _trusted(seen, observation, policy)
    first = seen.trusted
    seen = attrs.evolve(
        seen,
        trusted=False,
        in_a_row=seen.in_a_row + first,
        last_untrusted=observation.step,
    )
    if seen.aborted or not _patience_ended(seen, trigger, observation, policy):
        return _held(seen, trigger, observation, first=first)
    if cooling_down(seen, observation.step, policy):
        return _held(seen, trigger, observation, first=first, cooling=True)
    return _go_back(seen, trigger, observation, policy)


def _at_step(state: GuardState, step: int) -> GuardState:
    if step == state.step:
        return state
    in_a_row = 0 if state.trusted else state.in_a_row
    return attrs.evolve(state, step=step, trusted=True, in_a_row=in_a_row)


def _trigger(observation: Observation, policy: GuardPolicy) -> Trigger | None:
    if observation.weights_finite is False:
        return Trigger.NAN_WEIGHTS
    found = find_trigger(observation.loss, observation.grad_norm, policy)
    if observation.nonfinite_grads and found is not Trigger.NAN_LOSS:
        return Trigger.NAN_GRAD
    return found


def _trusted(state: GuardState, observation: Observation, policy: GuardPolicy) -> Decision:
    step = observation.step
    if observation.phase is Phase.BEFORE_OPTIMIZER:
        applied = attrs.evolve(state, in_place=None)
        return Decision(applied, Action(kind=ActionKind.NONE, step=step))
    due = snapshot_due(state, step, policy) and state.trusted and not state.aborted
    if not due or observation.weights_finite is not True:
        return Decision(state, Action(kind=ActionKind.NONE, step=step))
    after, evicted = add_snapshot(state, step, policy)
    return Decision(after, Action(kind=ActionKind.SNAPSHOT, step=step, discard=evicted))


def _scaler_skips(trigger: Trigger, observation: Observation) -> bool:
    skips = observation.amp_scaler and observation.nonfinite_grads
    return skips and trigger is not Trigger.NAN_WEIGHTS


def _patience_ended(
    state: GuardState, trigger: Trigger, observation: Observation, policy: GuardPolicy
) -> bool:
    if trigger is Trigger.NAN_WEIGHTS:
        return True
    scaler = _scaler_skips(trigger, observation)
    return state.in_a_row >= (policy.patience_with_scaler if scaler else policy.patience)


def _held(
    state: GuardState,
    trigger: Trigger,
    observation: Observation,
    *,
    first: bool,
    cooling: bool = False,
) -> Decision:
    """No rollback: the step is dropped where it still can be, and said once."""
    step = observation.step
    if observation.phase is Phase.AFTER_OPTIMIZER:
        kind = ActionKind.HOLD if first else ActionKind.NONE
    else:
        kind = ActionKind.DROP_STEP
    if _scaler_skips(trigger, observation):
        kind = ActionKind.NONE
    dropped = state.n_dropped + (kind is ActionKind.DROP_STEP)
    action = Action(
        kind=kind,
        step=step,
        trigger=None if kind is ActionKind.NONE else trigger,
        in_a_row=state.in_a_row,
        cooling_down=cooling,
    )
    return Decision(attrs.evolve(state, n_dropped=dropped), action)


def _go_back(
    state: GuardState, trigger: Trigger, observation: Observation, policy: GuardPolicy
) -> Decision:
    step = observation.step
    if observation.phase is Phase.BEFORE_OPTIMIZER:
        state = attrs.evolve(state, n_dropped=state.n_dropped + 1)
    kept_to = rollbacks_in_window(state, step, policy) < policy.max_rollbacks
    same = None if trigger is Trigger.NAN_WEIGHTS else state.in_place
    target = choose_snapshot(state, before=step, steps_back=policy.steps_back, but=same)
    if not kept_to or target is None:
        kind = ActionKind.ABORT_NO_SNAPSHOT if kept_to else ActionKind.ABORT
        action = Action(kind=kind, step=step, trigger=trigger, in_a_row=state.in_a_row)
        return Decision(attrs.evolve(state, aborted=True), action)
    after, pruned = add_rollback(state, step, target, policy)
    action = Action(
        kind=ActionKind.ROLLBACK,
        step=step,
        trigger=trigger,
        in_a_row=state.in_a_row,
        restore=target,
        discard=pruned,
    )
    return Decision(after, action)
