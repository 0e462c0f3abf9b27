"""Laws of the guard's decisions, for every sequence of observations."""

import math
from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.guard.alerts import action_alerts
from gradience.core.guard.decision import (
    Action,
    ActionKind,
    Decision,
    Observation,
    Phase,
    Trigger,
    decide,
    find_trigger,
)
from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import GuardState

POLICIES = st.builds(
    GuardPolicy,
    snapshot_every=st.integers(1, 4),
    ring_size=st.integers(1, 4),
    cooldown_steps=st.integers(0, 5),
    max_rollbacks=st.integers(0, 3),
    window_steps=st.integers(1, 15),
    steps_back=st.integers(1, 3),
    prune_newer_on_rollback=st.booleans(),
    patience=st.integers(1, 3),
    patience_with_scaler=st.integers(1, 4),
    settle_steps=st.integers(0, 4),
)
LOSSES = st.none() | st.sampled_from([0.5, math.nan, math.inf])
NORMS = st.none() | st.sampled_from([0.0, 1.0, 99.0, 1e3, math.nan, math.inf])
OBSERVATIONS = st.builds(
    Observation,
    step=st.integers(0, 40),
    phase=st.sampled_from(Phase),
    loss=LOSSES,
    grad_norm=NORMS,
    nonfinite_grads=st.booleans(),
    weights_finite=st.sampled_from([True, True, False, None]),
    amp_scaler=st.booleans(),
)
ANY_SEQUENCES = st.lists(OBSERVATIONS, max_size=60)
HEALTHY = st.builds(
    Observation,
    step=st.just(0),
    phase=st.just(Phase.BEFORE_OPTIMIZER),
    loss=st.none() | st.floats(-1e3, 1e3),
    grad_norm=st.none() | st.floats(0, 100),
    weights_finite=st.sampled_from([True, None]),
    amp_scaler=st.booleans(),
)


@st.composite
def _runs(draw: st.DrawFn, seen: st.SearchStrategy[Observation]) -> list[Observation]:
    """What a trainer shows: every step before and after, the steps ascending."""
    first = draw(st.integers(0, 5))
    count = draw(st.integers(0, 30))
    return [
        attrs.evolve(draw(seen), step=step, phase=phase)
        for step in range(first, first + count)
        for phase in Phase
    ]


SEQUENCES = ANY_SEQUENCES | _runs(OBSERVATIONS)


def _decisions(run: list[Observation], policy: GuardPolicy) -> list[Decision]:
    state, found = GuardState(), []
    for observation in run:
        found.append(decide(state, observation, policy))
        state = found[-1].state
    return found


def _actions(run: list[Observation], policy: GuardPolicy) -> list[Action]:
    return [decision.action for decision in _decisions(run, policy)]


def _rollbacks(run: list[Observation], policy: GuardPolicy) -> list[Action]:
    return [action for action in _actions(run, policy) if action.kind is ActionKind.ROLLBACK]


@given(run=SEQUENCES, policy=POLICIES)
def test_no_window_holds_more_rollbacks_than_allowed(
    run: list[Observation], policy: GuardPolicy
) -> None:
    steps = [action.step for action in _rollbacks(run, policy)]
    for start in range(-policy.window_steps, 45):
        inside = [step for step in steps if start <= step < start + policy.window_steps]
        assert len(inside) <= policy.max_rollbacks


@given(run=SEQUENCES, policy=POLICIES)
def test_the_cooldown_counts_from_the_step_of_the_rollback(
    run: list[Observation], policy: GuardPolicy
) -> None:
    steps = [action.step for action in _rollbacks(run, policy)]
    assert all(late - early > policy.cooldown_steps for early, late in pairwise(steps))


@given(run=SEQUENCES, policy=POLICIES)
def test_a_rollback_restores_a_held_snapshot_of_an_earlier_step(
    run: list[Observation], policy: GuardPolicy
) -> None:
    held: set[int] = set()
    for action in _actions(run, policy):
        if action.kind is ActionKind.SNAPSHOT:
            held.add(action.step)
        if action.kind is ActionKind.ROLLBACK:
            assert action.restore in held
            assert action.restore < action.step
        held -= set(action.discard)


@given(run=SEQUENCES, policy=POLICIES)
def test_the_state_holds_what_the_actions_say(run: list[Observation], policy: GuardPolicy) -> None:
    held: list[int] = []
    for state, action in _decisions(run, policy):
        if action.kind is ActionKind.SNAPSHOT:
            held = [step for step in held if step != action.step] + [action.step]
        held = [step for step in held if step not in action.discard]
        assert list(state.snapshots) == held
        assert len(held) <= policy.ring_size


@given(run=SEQUENCES, policy=POLICIES)
def test_pruning_leaves_nothing_newer_than_what_was_restored(
    run: list[Observation], policy: GuardPolicy
) -> None:
    for state, action in _decisions(run, policy):
        if action.kind is ActionKind.ROLLBACK and action.restore is not None:
            newer = [step for step in state.snapshots if step > action.restore]
            assert newer == [] or not policy.prune_newer_on_rollback


@given(run=_runs(HEALTHY), policy=POLICIES)
def test_a_healthy_run_is_only_ever_copied(run: list[Observation], policy: GuardPolicy) -> None:
    actions = _actions(run, policy)
    assert {action.kind for action in actions} <= {ActionKind.NONE, ActionKind.SNAPSHOT}
    assert all(action.trigger is None for action in actions)


@given(run=SEQUENCES, policy=POLICIES)
def test_a_snapshot_is_of_finite_weights_after_a_trusted_step(
    run: list[Observation], policy: GuardPolicy
) -> None:
    bad: set[int] = set()
    step = None
    for observation, action in zip(run, _actions(run, policy), strict=True):
        bad = bad if observation.step == step else set()
        step = observation.step
        found = find_trigger(observation.loss, observation.grad_norm, policy)
        if found or observation.nonfinite_grads or observation.weights_finite is False:
            bad.add(step)
        if action.kind is ActionKind.SNAPSHOT:
            assert observation.weights_finite is True
            assert observation.phase is Phase.AFTER_OPTIMIZER
            assert step not in bad


@given(run=_runs(OBSERVATIONS), policy=POLICIES)
def test_no_snapshot_is_taken_until_things_have_settled(
    run: list[Observation], policy: GuardPolicy
) -> None:
    bad = -math.inf
    for observation, action in zip(run, _actions(run, policy), strict=True):
        found = find_trigger(observation.loss, observation.grad_norm, policy)
        if found or observation.nonfinite_grads or observation.weights_finite is False:
            bad = observation.step
        if action.kind is ActionKind.SNAPSHOT:
            assert observation.step - bad > policy.settle_steps


@given(run=SEQUENCES, policy=POLICIES)
def test_no_nonfinite_gradient_reaches_the_optimizer(
    run: list[Observation], policy: GuardPolicy
) -> None:
    applied = {ActionKind.NONE, ActionKind.HOLD, ActionKind.SNAPSHOT}
    for observation, action in zip(run, _actions(run, policy), strict=True):
        before = observation.phase is Phase.BEFORE_OPTIMIZER
        if before and observation.nonfinite_grads and not observation.amp_scaler:
            assert action.kind not in applied


@given(run=SEQUENCES, policy=POLICIES)
def test_after_an_abort_steps_are_only_dropped(run: list[Observation], policy: GuardPolicy) -> None:
    aborted = False
    for state, action in _decisions(run, policy):
        if aborted:
            assert action.kind in {ActionKind.NONE, ActionKind.HOLD, ActionKind.DROP_STEP}
        aborted = aborted or action.kind in {ActionKind.ABORT, ActionKind.ABORT_NO_SNAPSHOT}
        assert state.aborted is aborted


@given(run=SEQUENCES, policy=POLICIES)
def test_the_counters_count(run: list[Observation], policy: GuardPolicy) -> None:
    decisions = _decisions(run, policy)
    kinds = [action.kind for _, action in decisions]
    state = decisions[-1].state if decisions else GuardState()
    assert state.n_rollbacks == kinds.count(ActionKind.ROLLBACK)
    assert state.n_snapshots == kinds.count(ActionKind.SNAPSHOT)
    keep = {ActionKind.NONE, ActionKind.HOLD, ActionKind.SNAPSHOT}
    dropped = [
        action
        for seen, action in zip(run, (d.action for d in decisions), strict=True)
        if seen.phase is Phase.BEFORE_OPTIMIZER and action.kind not in keep
    ]
    assert state.n_dropped == len(dropped)


@given(run=SEQUENCES, policy=POLICIES)
def test_decisions_are_deterministic_and_states_are_values(
    run: list[Observation], policy: GuardPolicy
) -> None:
    first = _decisions(run, policy)
    seen = [repr(decision) for decision in first]
    assert [repr(decision) for decision in _decisions(run, policy)] == seen
    assert [repr(decision) for decision in first] == seen


@given(run=SEQUENCES, policy=POLICIES)
def test_every_trigger_is_told_of_once_a_step_and_phase(
    run: list[Observation], policy: GuardPolicy
) -> None:
    for observation, action in zip(run, _actions(run, policy), strict=True):
        codes = [alert.code for alert in action_alerts(action, observation)]
        assert ("GUARD_TRIGGERED" in codes) is (action.trigger is not None)
        assert ("GUARD_ROLLBACK" in codes) is (action.kind is ActionKind.ROLLBACK)


@given(policy=POLICIES, bad=st.integers(0, 6), start=st.integers(2, 9))
def test_bad_batches_below_the_patience_cost_a_step_each(
    policy: GuardPolicy, bad: int, start: int
) -> None:
    run = [Observation(step=0, phase=Phase.AFTER_OPTIMIZER, weights_finite=True)]
    for step in range(1, 20):
        nan = start <= step < start + bad
        run.append(Observation(step=step, phase=Phase.BEFORE_OPTIMIZER, nonfinite_grads=nan))
        run.append(Observation(step=step, phase=Phase.AFTER_OPTIMIZER, weights_finite=True))
    kinds = [action.kind for action in _actions(run, policy)]
    went_back = {ActionKind.ROLLBACK, ActionKind.ABORT, ActionKind.ABORT_NO_SNAPSHOT} & set(kinds)
    assert bool(went_back) is (bad >= policy.patience)
    if not went_back:
        assert kinds.count(ActionKind.DROP_STEP) == bad


@given(policy=POLICIES, at=st.integers(1, 10))
def test_weights_that_are_not_finite_are_put_back_at_once(policy: GuardPolicy, at: int) -> None:
    run = [
        Observation(step=0, phase=Phase.AFTER_OPTIMIZER, weights_finite=True),
        Observation(step=at, phase=Phase.BEFORE_OPTIMIZER, weights_finite=False),
    ]
    action = _actions(run, policy)[-1]
    assert action.trigger is Trigger.NAN_WEIGHTS
    if policy.max_rollbacks:
        assert (action.kind, action.restore) == (ActionKind.ROLLBACK, 0)
    else:
        assert action.kind is ActionKind.ABORT
