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

MAX_ALERTS_KEPT = 200
"""Alerts kept whole; further ones are counted, so memory stays bounded."""


class RecordedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that stands in the telemetry."""

    severity: Severity
    code: str
    message: str
    step: int | None
    context: Mapping[str, object] = {}


class GuardSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard did in this run."""

    active: bool = False
    n_triggered: int = 0
    n_rollbacks: int = 0
    aborted: bool = False
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
    n_alerts: int = 0


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
    alerts = signal.alerts
    if len(alerts) < MAX_ALERTS_KEPT:
        alert = RecordedAlert(
            severity=event.severity,
            code=event.code,
            message=event.message,
            step=event.step,
            context=event.context,
        )
        alerts = (*alerts, alert)
    guard = signal.guard
    if event.code.startswith(GUARD_CODE_PREFIX):
        guard = _add_guard_alert(guard, event)
    return msgspec.structs.replace(signal, alerts=alerts, n_alerts=signal.n_alerts + 1, guard=guard)


def _add_guard_alert(guard: GuardSignal, event: Alert) -> GuardSignal:
    action = event.code.removeprefix(GUARD_CODE_PREFIX)
    acted = action in {"TRIGGERED", "ROLLBACK"} or action.startswith("ABORT")
    return msgspec.structs.replace(
        guard,
        active=True,
        n_triggered=guard.n_triggered + (action == "TRIGGERED"),
        n_rollbacks=guard.n_rollbacks + (action == "ROLLBACK"),
        aborted=guard.aborted or action.startswith("ABORT"),
        first_step=event.step if acted and guard.first_step is None else guard.first_step,
        last_step=event.step if acted else guard.last_step,
    )
