"""What the guard remembers."""

import pytest

from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import (
    GuardState,
    add_rollback,
    add_snapshot,
    can_roll_back,
    choose_snapshot,
    cooling_down,
    rollbacks_in_window,
    snapshot_due,
)

POLICY = GuardPolicy(ring_size=3, snapshot_every=10, cooldown_steps=5, window_steps=20)


def holding(*steps: int, policy: GuardPolicy = POLICY) -> GuardState:
    state = GuardState()
    for step in steps:
        state = add_snapshot(state, step, policy).state
    return state


def test_the_ring_lets_go_of_the_oldest() -> None:
    state, discarded = add_snapshot(holding(0, 10, 20), 30, POLICY)
    assert (state.snapshots, discarded) == ((10, 20, 30), (0,))
    assert (state.last_snapshot, state.in_place, state.n_snapshots) == (30, 30, 4)


def test_a_second_snapshot_of_a_step_takes_the_place_of_the_first() -> None:
    state, discarded = add_snapshot(holding(0, 10), 10, POLICY)
    assert (state.snapshots, discarded) == ((0, 10), ())


@pytest.mark.parametrize(
    ("step", "last", "bad", "due"),
    [
        (0, None, None, True),
        (9, 0, None, False),
        (10, 0, None, True),
        (25, 0, None, True),
        (20, 0, 10, False),
        (21, 0, 10, True),
    ],
)
def test_a_snapshot_is_due_after_every_so_many_steps(
    step: int, last: int | None, bad: int | None, *, due: bool
) -> None:
    state = GuardState(last_snapshot=last, last_untrusted=bad)
    assert snapshot_due(state, step, POLICY) is due


@pytest.mark.parametrize(
    ("before", "steps_back", "but", "chosen"),
    [
        (25, 1, None, 20),
        (20, 1, None, 10),
        (25, 2, None, 10),
        (25, 9, None, 0),
        (25, 1, 20, 10),
        (0, 1, None, None),
        (5, 1, 0, None),
    ],
)
def test_the_newest_healthy_snapshot_is_chosen(
    before: int, steps_back: int, but: int | None, chosen: int | None
) -> None:
    state = holding(0, 10, 20)
    assert choose_snapshot(state, before=before, steps_back=steps_back, but=but) == chosen


def test_a_rollback_prunes_what_is_newer() -> None:
    state, discarded = add_rollback(holding(0, 10, 20), 23, 10, POLICY)
    assert (state.snapshots, discarded) == ((0, 10), (20,))
    assert (state.rollbacks, state.n_rollbacks, state.in_place) == ((23,), 1, 10)


def test_pruning_can_be_switched_off() -> None:
    policy = GuardPolicy(ring_size=3, prune_newer_on_rollback=False)
    state, discarded = add_rollback(holding(0, 10, 20), 23, 10, policy)
    assert (state.snapshots, discarded) == ((0, 10, 20), ())


def test_the_cooldown_counts_from_the_step_of_the_rollback() -> None:
    state = add_rollback(holding(0, 100), 150, 100, POLICY).state
    assert [step for step in range(150, 160) if not cooling_down(state, step, POLICY)] == [
        156, 157, 158, 159,
    ]  # fmt: skip


def test_the_window_counts_from_the_step_of_the_rollback() -> None:
    policy = GuardPolicy(cooldown_steps=0, max_rollbacks=2, window_steps=20)
    state = holding(0, policy=policy)
    for step in (100, 105):
        state = add_rollback(state, step, 0, policy).state
    assert [rollbacks_in_window(state, step, policy) for step in (106, 119, 120, 125)] == [
        2, 2, 1, 0,
    ]  # fmt: skip
    assert not can_roll_back(state, 119, policy)
    assert can_roll_back(state, 120, policy)


def test_old_rollbacks_are_forgotten_but_counted() -> None:
    state = GuardState()
    for step in range(0, 1000, 10):
        state = add_rollback(state, step, 0, POLICY).state
    assert (state.rollbacks, state.n_rollbacks) == ((980, 990), 100)
