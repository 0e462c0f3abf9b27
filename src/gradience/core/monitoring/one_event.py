"""One event, told loudly once: what a more telling alert says already becomes an info."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.severity import Severity

SAID_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "no_learning": ("divergence", "extreme_lr", "zero_loss"),
        "loss_spike": ("divergence",),
        "grad_norm_outlier": ("divergence", "loss_spike"),
        "near_zero_train_loss": ("overfitting", "zero_loss"),
        "unstable_eval": ("divergence",),
        "memorization_gap": ("unstable_eval", "zero_loss"),
    }
)
"""Alert code → the codes that tell the same event better: the cause rather than what followed,
the loss rather than the norm, the evaluation rather than the training loss."""

SAME_STEPS = frozenset({"loss_spike", "grad_norm_outlier"})
"""Codes of single moments: elsewhere in the run they are another event."""

SPIKE = "loss_spike"
"""The code whose infos count too: what a jump of the loss is worth, the norm beside it is not
worth more."""

BESIDE = "same_event_as"
"""Key in the context of an alert that became an info: the code of the one that tells the event."""


def told_once(alerts: Iterable[MonitorAlert]) -> tuple[MonitorAlert, ...]:
    """The alerts, with those that repeat another one as infos.

    Args:
        alerts: Of one run, in any order.

    Returns:
        As many alerts, in the same order. One that is said by another of severity warning or
        above (by a loss spike of any) is an info, and names that one in its context; it is not
        left out, as its numbers may be looked for. Infos stay as they are.
    """
    alerts = tuple(alerts)
    loud = {
        alert.code: alert
        for alert in alerts
        if alert.severity.at_least(Severity.WARNING) or alert.code == SPIKE
    }
    return tuple(_softened(alert, loud) for alert in alerts)


def _softened(alert: MonitorAlert, loud: Mapping[str, MonitorAlert]) -> MonitorAlert:
    if not alert.severity.at_least(Severity.WARNING):
        return alert
    for code in SAID_BY.get(alert.code, ()):
        other = loud.get(code)
        if other is not None and (alert.code not in SAME_STEPS or _overlap(alert, other)):
            context = {**alert.context, BESIDE: code}
            return msgspec.structs.replace(alert, severity=Severity.INFO, context=context)
    return alert


def _overlap(one: MonitorAlert, other: MonitorAlert) -> bool:
    """Whether the steps of two alerts overlap; as far as they are known."""
    starts_late = _after(one.first_step, other.last_step)
    return not starts_late and not _after(other.first_step, one.last_step)


def _after(first: int | None, last: int | None) -> bool:
    return first is not None and last is not None and first > last
