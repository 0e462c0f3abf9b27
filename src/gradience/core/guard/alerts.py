"""What the guard says: from its actions to the contract's alerts and metrics."""

from collections.abc import Mapping

import attrs
import msgspec

from gradience.core.guard.decision import Action, ActionKind, Observation, Phase
from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import GuardState
from gradience.core.severity import Severity

INIT = "init"
"""``action`` in the metrics of the guard's beginning."""


class GuardAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of the guard."""

    severity: Severity
    code: str
    message: str
    context: Mapping[str, object] = {}


def init_alert(policy: GuardPolicy, off_because: str | None = None) -> GuardAlert:
    """``GUARD_INIT``: the options that hold, or why the guard is off.

    Args:
        policy: The options.
        off_because: Why the guard can do nothing in this run; None where it is on.

    Returns:
        The alert; ``enabled`` in its context says whether the guard is on.
    """
    options = attrs.asdict(policy)
    if off_because is None:
        message = (
            f"the guard is on: a snapshot every {policy.snapshot_every} steps, at most "
            f"{policy.max_rollbacks} rollbacks in {policy.window_steps} steps"
        )
        return _info("GUARD_INIT", message, {"enabled": True, **options})
    off = {"enabled": False, "reason": off_because, **options}
    return _info("GUARD_INIT", f"the guard is off: {off_because}", off)


def action_alerts(action: Action, observation: Observation) -> tuple[GuardAlert, ...]:
    """The alerts that an action is recorded with.

    Args:
        action: What the guard did.
        observation: What it saw.

    Returns:
        None for ``NONE``; ``GUARD_SNAPSHOT``; ``GUARD_TRIGGERED`` for everything else, followed by
        ``GUARD_ROLLBACK``, ``GUARD_ABORT`` or ``GUARD_ABORT_NO_SNAPSHOT``.
    """
    if action.kind is ActionKind.NONE:
        return ()
    if action.kind is ActionKind.SNAPSHOT:
        message = f"snapshot of the weights after step {action.step}"
        return (_info("GUARD_SNAPSHOT", message, {"discarded": list(action.discard)}),)
    return (_triggered(action, observation), *_consequence(action))


def guard_metrics(
    action: ActionKind | None, state: GuardState, policy: GuardPolicy, memory_mb: float
) -> dict[str, object]:
    """The ``metrics`` of kind ``guard``: where the guard stands after an action.

    Args:
        action: What it did; None for its beginning.
        state: Its state afterwards.
        policy: The options.
        memory_mb: Measured size of the snapshots, MiB.

    Returns:
        Plain numbers and names.
    """
    return {
        "action": INIT if action is None else action.value,
        "ring_size": policy.ring_size,
        "snapshot_count": len(state.snapshots),
        "snapshot_steps": list(state.snapshots),
        "memory_mb": memory_mb,
        "n_snapshots": state.n_snapshots,
        "n_rollbacks": state.n_rollbacks,
        "n_dropped": state.n_dropped,
        "in_a_row": state.in_a_row,
    }


def _triggered(action: Action, observation: Observation) -> GuardAlert:
    name = action.trigger.value if action.trigger else "unknown"
    seen = f"{name} at step {action.step} ({action.in_a_row} in a row)"
    if observation.phase is Phase.AFTER_OPTIMIZER:
        message = f"{seen}, seen after the optimizer had applied it"
    else:
        message = f"{seen}: the step was dropped before the optimizer applied it"
    if action.cooling_down:
        message += "; no rollback within the cooldown"
    context: dict[str, object] = {
        "trigger": name,
        "in_a_row": action.in_a_row,
        "action": action.kind.value,
        "phase": observation.phase.value,
        "loss": observation.loss,
        "grad_norm": observation.grad_norm,
        "weights_finite": observation.weights_finite,
    }
    return _info("GUARD_TRIGGERED", message, context)


def _consequence(action: Action) -> tuple[GuardAlert, ...]:
    trigger = action.trigger.value if action.trigger else "unknown"
    if action.kind is ActionKind.ROLLBACK:
        return (
            GuardAlert(
                severity=Severity.WARNING,
                code="GUARD_ROLLBACK",
                message=f"went back from step {action.step} to the snapshot of step "
                f"{action.restore}: weights and optimizer state",
                context={
                    "trigger": trigger,
                    "restored_step": action.restore,
                    "discarded": list(action.discard),
                },
            ),
        )
    if action.kind is ActionKind.ABORT:
        message = (
            f"{trigger} at step {action.step}: one rollback more than the window allows; "
            "training stops. Look at the data and the learning rate around the rollbacks"
        )
        return (_error("GUARD_ABORT", message, trigger),)
    if action.kind is ActionKind.ABORT_NO_SNAPSHOT:
        message = (
            f"{trigger} at step {action.step}: no healthy earlier snapshot to go back to; "
            "training stops. If such gradients are usual for this model, raise "
            "guard_grad_threshold"
        )
        return (_error("GUARD_ABORT_NO_SNAPSHOT", message, trigger),)
    return ()


def _info(code: str, message: str, context: Mapping[str, object]) -> GuardAlert:
    return GuardAlert(severity=Severity.INFO, code=code, message=message, context=context)


def _error(code: str, message: str, trigger: str) -> GuardAlert:
    context = {"trigger": trigger}
    return GuardAlert(severity=Severity.ERROR, code=code, message=message, context=context)
