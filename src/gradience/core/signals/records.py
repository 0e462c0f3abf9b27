"""What others wrote into the run: audits of its adapter, the guard's doings, alerts.

A pure, deterministic function of the event sequence.
"""

from collections.abc import Mapping

import attrs
import msgspec

from gradience.core.severity import Severity
from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch
from gradience.core.telemetry.events import Alert, Metrics

LORA_AUDIT = "lora_audit"
"""Kind of the ``metrics`` event that holds an audit summary."""

GUARD = "guard"
"""Kind of the ``metrics`` event that holds the guard's state."""

GUARD_CODE_PREFIX = "GUARD_"
"""Alert codes of the guard."""

MAX_CODES_KEPT = 200
"""Alert codes kept apart; alerts of further ones are counted, so memory stays bounded."""

MAX_RESTORED_KEPT = 10
"""Steps that the guard went back to which are kept, the latest."""

DROP_STEP = "drop_step"
"""``action`` in the context of the guard's trigger where it dropped the step and no more."""


class RecordedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """The alerts of one code that stand in the telemetry."""

    severity: Severity
    """The most severe of them."""
    code: str
    message: str
    """Of the first alert of that severity, as is the context."""
    count: int = 1
    first_step: int | None = None
    last_step: int | None = None
    context: Mapping[str, object] = {}


class GuardSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard did in this run."""

    active: bool = False
    off_because: str | None = None
    """Why the guard could do nothing, where it says so."""
    n_triggered: int = 0
    n_rollbacks: int = 0
    n_dropped: int = 0
    """Steps dropped before the optimizer applied them, without going back."""
    restored_steps: tuple[int, ...] = ()
    """Steps of the snapshots that it went back to, the last :data:`MAX_RESTORED_KEPT`."""
    aborted: bool = False
    abort_code: str | None = None
    """Alert code of the first abort."""
    first_step: int | None = None
    """Step of the first trigger, rollback or abort."""
    last_step: int | None = None
    metrics: Mapping[str, object] = {}
    """The latest ``metrics`` event of kind ``guard``."""


class RecordsSignal(msgspec.Struct, frozen=True, kw_only=True):
    """The latest audit, the guard, and the alerts on record."""

    lora_audit: Mapping[str, object] | None = None
    lora_audit_step: int | None = None
    guard: GuardSignal = GuardSignal()
    alerts: tuple[RecordedAlert, ...] = ()
    """By code, in order of first appearance."""
    n_alerts: int = 0
    """Alerts of every code."""


@attrs.frozen
class RecordsState:
    """The same, while it is being gathered."""

    signal: RecordsSignal = RecordsSignal()


def recorded() -> Analyzer[RecordsState, RecordsSignal]:
    """The analyzer of audits, guard events and alerts on record."""
    return Analyzer(RecordsState, _update, lambda state: state.signal)


def _update(state: RecordsState, batch: Batch) -> RecordsState:
    signal = state.signal
    for _, event in batch.others:
        if isinstance(event, Metrics):
            signal = _add_metrics(signal, event)
        elif isinstance(event, Alert):
            signal = _add_alert(signal, event)
    return RecordsState(signal)


def _add_metrics(signal: RecordsSignal, event: Metrics) -> RecordsSignal:
    if event.kind == LORA_AUDIT:
        return msgspec.structs.replace(signal, lora_audit=event.metrics, lora_audit_step=event.step)
    if event.kind == GUARD:
        guard = msgspec.structs.replace(signal.guard, active=True, metrics=event.metrics)
        return msgspec.structs.replace(signal, guard=guard)
    return signal


def _add_alert(signal: RecordsSignal, event: Alert) -> RecordsSignal:
    guard = signal.guard
    if event.code.startswith(GUARD_CODE_PREFIX):
        guard = _add_guard_alert(guard, event)
    return msgspec.structs.replace(
        signal,
        alerts=_with_alert(signal.alerts, event),
        n_alerts=signal.n_alerts + 1,
        guard=guard,
    )


def _with_alert(alerts: tuple[RecordedAlert, ...], event: Alert) -> tuple[RecordedAlert, ...]:
    place = next((at for at, alert in enumerate(alerts) if alert.code == event.code), None)
    if place is None:
        new = RecordedAlert(
            severity=event.severity,
            code=event.code,
            message=event.message,
            first_step=event.step,
            last_step=event.step,
            context=event.context,
        )
        return (*alerts, new) if len(alerts) < MAX_CODES_KEPT else alerts
    known = alerts[place]
    worse = event.severity.order > known.severity.order
    more = msgspec.structs.replace(
        known,
        severity=event.severity if worse else known.severity,
        message=event.message if worse else known.message,
        context=event.context if worse else known.context,
        count=known.count + 1,
        last_step=event.step,
    )
    return (*alerts[:place], more, *alerts[place + 1 :])


def _add_guard_alert(guard: GuardSignal, event: Alert) -> GuardSignal:
    action = event.code.removeprefix(GUARD_CODE_PREFIX)
    if action == "INIT":
        off = event.context.get("enabled") is False
        reason = str(event.context.get("reason")) if off else None
        return msgspec.structs.replace(guard, active=guard.active or not off, off_because=reason)
    triggered, aborts = action == "TRIGGERED", action.startswith("ABORT")
    acted = triggered or aborts or action == "ROLLBACK"
    dropped = triggered and event.context.get("action") == DROP_STEP
    return msgspec.structs.replace(
        guard,
        active=True,
        n_triggered=guard.n_triggered + triggered,
        n_rollbacks=guard.n_rollbacks + (action == "ROLLBACK"),
        n_dropped=guard.n_dropped + dropped,
        restored_steps=(*guard.restored_steps, *_restored(event))[-MAX_RESTORED_KEPT:],
        aborted=guard.aborted or aborts,
        abort_code=event.code if aborts and not guard.aborted else guard.abort_code,
        first_step=event.step if acted and guard.first_step is None else guard.first_step,
        last_step=event.step if acted else guard.last_step,
    )


def _restored(event: Alert) -> tuple[int, ...]:
    step = event.context.get("restored_step")
    return (step,) if isinstance(step, int) and not isinstance(step, bool) else ()
