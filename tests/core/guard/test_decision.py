"""What the guard does about a step."""

import math

import pytest

from gradience.core.guard.decision import (
    Action,
    ActionKind,
    Observation,
    Phase,
    Trigger,
    decide,
    find_trigger,
)
from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import GuardState

BEFORE, AFTER = Phase.BEFORE_OPTIMIZER, Phase.AFTER_OPTIMIZER
POLICY = GuardPolicy(snapshot_every=5, cooldown_steps=4, window_steps=50, settle_steps=0)


def steps(
    state: GuardState,
    first: int,
    *norms: float,
    policy: GuardPolicy = POLICY,
    amp_scaler: bool = False,
) -> tuple[GuardState, list[Action]]:
    """Whole steps with these gradient norms; weights are finite throughout."""
    actions = []
    for step, norm in enumerate(norms, first):
        before = Observation(
            step=step,
            phase=BEFORE,
            grad_norm=norm,
            nonfinite_grads=not math.isfinite(norm),
            weights_finite=True,
            amp_scaler=amp_scaler,
        )
        after = Observation(step=step, phase=AFTER, weights_finite=True)
        for observation in (before, after):
            state, action = decide(state, observation, policy)
            actions.append(action)
    return state, [action for action in actions if action.kind is not ActionKind.NONE]


def begun(policy: GuardPolicy = POLICY) -> GuardState:
    start = Observation(step=0, phase=AFTER, weights_finite=True)
    return decide(GuardState(), start, policy).state


def kinds(actions: list[Action]) -> list[tuple[int, str]]:
    return [(action.step, action.kind.value) for action in actions]


@pytest.mark.parametrize(
    ("loss", "grad_norm", "trigger"),
    [
        (None, None, None),
        (1.0, 1.0, None),
        (1.0, 100.0, None),
        (1.0, 100.1, Trigger.GRAD_EXPLOSION),
        (math.nan, 1e3, Trigger.NAN_LOSS),
        (-math.inf, None, Trigger.NAN_LOSS),
        (1.0, math.nan, Trigger.NAN_GRAD),
        (None, math.inf, Trigger.NAN_GRAD),
    ],
)
def test_triggers(loss: float | None, grad_norm: float | None, trigger: Trigger | None) -> None:
    assert find_trigger(loss, grad_norm, GuardPolicy()) is trigger


def test_snapshots_on_schedule_and_nothing_else() -> None:
    _, actions = steps(begun(), 1, *[1.0] * 11)
    assert kinds(actions) == [(5, "snapshot"), (10, "snapshot")]


@pytest.mark.parametrize("norm", [math.nan, math.inf, 101.0])
def test_one_bad_step_is_dropped_and_forgotten(norm: float) -> None:
    state, actions = steps(begun(), 1, 1.0, norm, 1.0, norm, norm, 1.0)
    assert kinds(actions) == [
        (2, "drop_step"), (4, "drop_step"), (5, "drop_step"), (6, "snapshot"),
    ]  # fmt: skip
    assert (state.n_dropped, state.n_rollbacks) == (3, 0)
    assert [action.in_a_row for action in actions[:3]] == [1, 1, 2]


def test_the_third_bad_step_in_a_row_goes_back() -> None:
    state, actions = steps(begun(), 1, *[1.0] * 6, *[math.nan] * 3)
    last = actions[-1]
    assert (last.kind, last.step, last.restore) == (ActionKind.ROLLBACK, 9, 5)
    assert last.trigger is Trigger.NAN_GRAD
    assert (state.n_dropped, state.in_a_row, state.rollbacks) == (3, 0, (9,))


def test_patience_of_one_goes_back_at_once() -> None:
    policy = GuardPolicy(patience=1)
    _, actions = steps(begun(policy), 1, 1.0, 200.0, policy=policy)
    assert kinds(actions) == [(2, "rollback")]


def test_the_snapshot_that_the_weights_are_a_copy_of_is_passed_over() -> None:
    _, actions = steps(begun(), 1, *[1.0] * 5, *[200.0] * 3)
    assert kinds(actions)[-1] == (8, "rollback")
    assert actions[-1].restore == 0
    assert actions[-1].discard == (5,)


def test_with_nothing_but_that_copy_the_guard_aborts() -> None:
    state, actions = steps(begun(), 1, *[math.nan] * 3)
    assert kinds(actions)[-1] == (3, "abort_no_snapshot")
    assert state.aborted


def test_nonfinite_weights_go_back_at_once_even_to_the_last_step() -> None:
    state, _ = steps(begun(), 1, *[1.0] * 5)
    poisoned = Observation(step=6, phase=BEFORE, grad_norm=math.nan, weights_finite=False)
    action = decide(state, poisoned, POLICY).action
    assert (action.kind, action.restore) == (ActionKind.ROLLBACK, 5)
    assert action.trigger is Trigger.NAN_WEIGHTS


def test_nonfinite_weights_after_a_step_go_back_too() -> None:
    state, _ = steps(begun(), 1, 1.0)
    poisoned = Observation(step=1, phase=AFTER, weights_finite=False)
    action = decide(state, poisoned, POLICY).action
    assert (action.kind, action.step, action.restore) == (ActionKind.ROLLBACK, 1, 0)


def test_within_the_cooldown_steps_are_dropped_only() -> None:
    state, _ = steps(begun(), 1, *[1.0] * 6, *[math.nan] * 3)
    state, actions = steps(state, 10, *[math.nan] * 5)
    assert kinds(actions) == [
        (10, "drop_step"), (11, "drop_step"), (12, "drop_step"), (13, "drop_step"),
        (14, "rollback"),
    ]  # fmt: skip
    assert [action.cooling_down for action in actions] == [False, False, True, True, False]
    assert actions[-1].restore == 0


def test_one_rollback_more_than_the_window_allows_aborts() -> None:
    policy = GuardPolicy(patience=1, cooldown_steps=0, max_rollbacks=2, window_steps=50)
    state, actions = steps(begun(policy), 1, *[1.0, 200.0] * 3, policy=policy)
    assert kinds(actions) == [(2, "rollback"), (4, "rollback"), (6, "abort")]
    state, actions = steps(state, 7, math.nan, 1.0, policy=policy)
    assert kinds(actions) == [(7, "drop_step")]
    assert state.aborted


def test_after_the_window_there_may_be_another() -> None:
    policy = GuardPolicy(
        patience=1, cooldown_steps=0, max_rollbacks=1, window_steps=10, snapshot_every=99
    )
    norms = [1.0, 200.0, *[1.0] * 9, 200.0]
    _, actions = steps(begun(policy), 1, *norms, policy=policy)
    assert kinds(actions) == [(2, "rollback"), (12, "rollback")]


def test_a_loss_seen_after_the_step_is_on_record_and_counts() -> None:
    state, kinds_seen = begun(), []
    for step in range(1, 5):
        fine = Observation(step=step, phase=BEFORE, grad_norm=1.0, weights_finite=True)
        state = decide(state, fine, POLICY).state
        lost = Observation(step=step, phase=AFTER, loss=math.nan)
        state, action = decide(state, lost, POLICY)
        kinds_seen.append(action.kind.value)
    assert kinds_seen == ["hold", "hold", "rollback", "hold"]
    assert state.n_dropped == 0


def test_a_bad_step_counts_once_however_often_it_is_seen() -> None:
    state = begun()
    for step in (1, 2):
        bad = Observation(step=step, phase=BEFORE, nonfinite_grads=True, weights_finite=True)
        state = decide(state, bad, POLICY).state
        lost = Observation(step=step, phase=AFTER, loss=math.nan)
        state, action = decide(state, lost, POLICY)
        assert action.kind is ActionKind.NONE
    assert (state.in_a_row, state.n_dropped) == (2, 2)


def test_what_a_loss_scaler_skips_is_its_own_business() -> None:
    state, _ = steps(begun(), 1, 1.0)
    state, actions = steps(state, 2, *[math.inf] * 16, amp_scaler=True)
    assert actions == []
    assert (state.n_dropped, state.in_a_row) == (0, 16)
    state, actions = steps(state, 18, math.nan, amp_scaler=True)
    assert kinds(actions) == [(18, "rollback")]


def test_a_loss_scaler_does_not_excuse_an_explosion() -> None:
    _, actions = steps(begun(), 1, 200.0, amp_scaler=True)
    assert kinds(actions) == [(1, "drop_step")]


def test_no_snapshot_of_weights_that_were_not_looked_at() -> None:
    unknown = Observation(step=0, phase=AFTER)
    assert decide(GuardState(), unknown, POLICY).action.kind is ActionKind.NONE


def test_weights_that_never_were_finite_abort() -> None:
    poisoned = Observation(step=0, phase=AFTER, weights_finite=False)
    assert decide(GuardState(), poisoned, POLICY).action.kind is ActionKind.ABORT_NO_SNAPSHOT


def test_a_snapshot_waits_until_things_have_settled() -> None:
    policy = GuardPolicy(snapshot_every=5, settle_steps=3)
    norms = [1.0, 1.0, 1.0, 200.0, *[1.0] * 6]
    _, actions = steps(begun(policy), 1, *norms, policy=policy)
    assert kinds(actions) == [(4, "drop_step"), (8, "snapshot")]
