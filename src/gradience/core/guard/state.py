"""What the guard remembers, and how a snapshot or a rollback changes it: values in, values out."""

from typing import NamedTuple

import attrs

from gradience.core.guard.policy import GuardPolicy


@attrs.frozen(kw_only=True)
class GuardState:
    """What the guard knows of the run so far; steps are optimizer steps of the trainer."""

    step: int | None = None
    """The latest step that was observed."""
    trusted: bool = True
    """Whether nothing was found wrong with that step."""
    in_a_row: int = 0
    """Untrusted steps in a row, the latest included; a rollback starts the count again."""
    last_untrusted: int | None = None
    """The latest untrusted step."""
    snapshots: tuple[int, ...] = ()
    """Steps of the snapshots that are held, in the order in which they were taken."""
    last_snapshot: int | None = None
    """Step of the newest snapshot ever taken, held or not."""
    in_place: int | None = None
    """Step of the snapshot that equals the present weights; None once a step was applied."""
    rollbacks: tuple[int, ...] = ()
    """Steps at which the guard went back (not those of the snapshots), of the last window."""
    n_snapshots: int = 0
    n_rollbacks: int = 0
    n_dropped: int = 0
    """Steps that were stopped before the optimizer applied them."""
    aborted: bool = False


class Snapshots(NamedTuple):
    """A state, and the steps of the snapshots that it no longer holds."""

    state: GuardState
    discarded: tuple[int, ...]


def snapshot_due(state: GuardState, step: int, policy: GuardPolicy) -> bool:
    """Whether a snapshot is due after ``step``: the last was long enough ago, and things settled.

    A snapshot that cannot be taken (an untrusted step, weights that are not finite) stays due.
    """
    last, bad = state.last_snapshot, state.last_untrusted
    settled = bad is None or step - bad > policy.settle_steps
    return settled and (last is None or step - last >= policy.snapshot_every)


def add_snapshot(state: GuardState, step: int, policy: GuardPolicy) -> Snapshots:
    """The state with a snapshot of the weights after ``step``; one of the same step is replaced."""
    others = tuple(held for held in state.snapshots if held != step)
    kept = (*others, step)[-policy.ring_size :]
    after = attrs.evolve(
        state,
        snapshots=kept,
        last_snapshot=step,
        in_place=step,
        n_snapshots=state.n_snapshots + 1,
    )
    return Snapshots(after, tuple(held for held in state.snapshots if held not in kept))


def cooling_down(state: GuardState, step: int, policy: GuardPolicy) -> bool:
    """Whether ``step`` is within the cooldown, which counts from the step of the last rollback."""
    return bool(state.rollbacks) and step - state.rollbacks[-1] <= policy.cooldown_steps


def rollbacks_in_window(state: GuardState, step: int, policy: GuardPolicy) -> int:
    """Rollbacks in the ``window_steps`` steps that end with ``step``."""
    return sum(at > step - policy.window_steps for at in state.rollbacks)


def can_roll_back(state: GuardState, step: int, policy: GuardPolicy) -> bool:
    """Whether a rollback at ``step`` keeps to the cooldown and to the window's limit."""
    within = rollbacks_in_window(state, step, policy) < policy.max_rollbacks
    return within and not cooling_down(state, step, policy)


def choose_snapshot(
    state: GuardState, *, before: int, steps_back: int, but: int | None = None
) -> int | None:
    """The snapshot that a rollback restores.

    Args:
        state: The guard's state.
        before: Only snapshots of earlier steps are healthy.
        steps_back: 1 for the newest of them, 2 for the one before it; the oldest where there are
            fewer.
        but: A snapshot that is left out.

    Returns:
        Its step; None where there is none.
    """
    healthy = [step for step in state.snapshots if step < before and step != but]
    return healthy[-min(steps_back, len(healthy))] if healthy else None


def add_rollback(state: GuardState, step: int, restored: int, policy: GuardPolicy) -> Snapshots:
    """The state after a rollback at ``step`` to the snapshot of step ``restored``."""
    kept = state.snapshots
    if policy.prune_newer_on_rollback:
        kept = tuple(held for held in kept if held <= restored)
    recent = tuple(at for at in state.rollbacks if at > step - policy.window_steps)
    after = attrs.evolve(
        state,
        snapshots=kept,
        in_place=restored,
        in_a_row=0,
        rollbacks=(*recent, step),
        n_rollbacks=state.n_rollbacks + 1,
    )
    return Snapshots(after, tuple(held for held in state.snapshots if held not in kept))
