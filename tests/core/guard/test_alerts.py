"""What the guard says."""

import msgspec
import pytest

from gradience.core.guard.alerts import action_alerts, guard_metrics, init_alert
from gradience.core.guard.decision import Action, ActionKind, Observation, Phase, Trigger
from gradience.core.guard.policy import GuardPolicy
from gradience.core.guard.state import GuardState
from gradience.core.severity import Severity

SEEN = Observation(step=7, phase=Phase.BEFORE_OPTIMIZER, grad_norm=250.0, weights_finite=True)


def action(kind: ActionKind, **fields: object) -> Action:
    trigger = None if kind in {ActionKind.NONE, ActionKind.SNAPSHOT} else Trigger.GRAD_EXPLOSION
    return Action(kind=kind, step=7, trigger=trigger, in_a_row=2, **fields)  # type: ignore[arg-type]  # fields of many types


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ActionKind.NONE, []),
        (ActionKind.SNAPSHOT, [("GUARD_SNAPSHOT", Severity.INFO)]),
        (ActionKind.DROP_STEP, [("GUARD_TRIGGERED", Severity.INFO)]),
        (ActionKind.HOLD, [("GUARD_TRIGGERED", Severity.INFO)]),
        (
            ActionKind.ROLLBACK,
            [("GUARD_TRIGGERED", Severity.INFO), ("GUARD_ROLLBACK", Severity.WARNING)],
        ),
        (
            ActionKind.ABORT,
            [("GUARD_TRIGGERED", Severity.INFO), ("GUARD_ABORT", Severity.ERROR)],
        ),
        (
            ActionKind.ABORT_NO_SNAPSHOT,
            [("GUARD_TRIGGERED", Severity.INFO), ("GUARD_ABORT_NO_SNAPSHOT", Severity.ERROR)],
        ),
    ],
)
def test_codes_and_severities_are_the_contracts(
    kind: ActionKind, expected: list[tuple[str, Severity]]
) -> None:
    alerts = action_alerts(action(kind), SEEN)
    assert [(alert.code, alert.severity) for alert in alerts] == expected


def test_a_trigger_is_told_with_its_numbers() -> None:
    (alert,) = action_alerts(action(ActionKind.DROP_STEP, cooling_down=True), SEEN)
    assert "grad_explosion at step 7 (2 in a row): the step was dropped" in alert.message
    assert "no rollback within the cooldown" in alert.message
    assert alert.context["trigger"] == "grad_explosion"
    assert alert.context["grad_norm"] == 250.0


def test_what_was_seen_after_the_step_was_not_dropped() -> None:
    seen = Observation(step=7, phase=Phase.AFTER_OPTIMIZER)
    (alert,) = action_alerts(action(ActionKind.HOLD), seen)
    assert "seen after the optimizer had applied it" in alert.message
    assert "dropped" not in alert.message


def test_a_rollback_names_both_steps() -> None:
    _, alert = action_alerts(action(ActionKind.ROLLBACK, restore=4, discard=(5,)), SEEN)
    assert "from step 7 to the snapshot of step 4" in alert.message
    assert alert.context["restored_step"] == 4
    assert alert.context["discarded"] == [5]


def test_an_abort_without_a_snapshot_says_what_to_do() -> None:
    _, alert = action_alerts(action(ActionKind.ABORT_NO_SNAPSHOT), SEEN)
    assert "no healthy earlier snapshot" in alert.message
    assert "raise guard_grad_threshold" in alert.message


def test_init_says_what_holds() -> None:
    alert = init_alert(GuardPolicy(ring_size=2))
    assert (alert.code, alert.severity) == ("GUARD_INIT", Severity.INFO)
    assert alert.context["enabled"] is True
    assert alert.context["ring_size"] == 2


def test_init_says_why_the_guard_is_off() -> None:
    alert = init_alert(GuardPolicy(), "because")
    assert alert.message == "the guard is off: because"
    assert (alert.context["enabled"], alert.context["reason"]) == (False, "because")


def test_metrics_have_the_contracts_keys_and_are_plain() -> None:
    state = GuardState(snapshots=(3, 6), n_rollbacks=1, n_dropped=4)
    metrics = guard_metrics(ActionKind.ROLLBACK, state, GuardPolicy(), 1.5)
    assert metrics["action"] == "rollback"
    assert (metrics["ring_size"], metrics["snapshot_count"]) == (5, 2)
    assert (metrics["memory_mb"], metrics["n_rollbacks"], metrics["n_dropped"]) == (1.5, 1, 4)
    assert msgspec.json.decode(msgspec.json.encode(metrics)) == metrics


def test_metrics_of_the_beginning() -> None:
    assert guard_metrics(None, GuardState(), GuardPolicy(), 0.0)["action"] == "init"
