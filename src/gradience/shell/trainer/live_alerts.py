"""The monitor's alerts while a training runs, for a hook of the user's."""

import logging
from collections.abc import Callable, Mapping
from enum import Enum

from gradience.core.errors import GradienceError
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.monitoring.recorded_alerts import LIVE
from gradience.core.monitoring.report import monitor_report
from gradience.core.severity import Severity
from gradience.core.telemetry.events import Alert, AnyEvent, Eval, TrainStep
from gradience.shell.telemetry.telemetry_tail import EventFold

logger = logging.getLogger("gradience")

NO_NEWS = frozenset({"run_unfinished", "gap_unavailable"})
"""Alerts that are true of every training that is under way."""

CUT = "..."
"""Ends a message that was cut to the length that telemetry keeps."""


class HookReply(Enum):
    """What a hook may return."""

    STOP = "stop"
    """Asks for the training to be stopped; the run ends as aborted, with the alert's code."""


AlertHook = Callable[[MonitorAlert], HookReply | None]
"""Is given each alert once, and again when it is more severe than before."""


class LiveAlerts:
    """Judges a training by its own record while it is written, as ``gradience monitor`` would.

    It sees what this training records. Of a resumed run, the records of before are not read
    again: conditions that need a longer history are judged from the resume on.

    Neither the hook nor an analyzer can end the training by an exception: the first failure of
    the hook is logged and further ones are counted; the first failure of an analyzer is logged
    and switches the judging off. ``KeyboardInterrupt`` and its like pass.

    Args:
        hook: Is given the alerts.
        record: Writes an alert into telemetry, with the parameters of ``TelemetryWriter.alert``.
        every: Logged steps between two judgements; an evaluation, or an alert that others put on
            record, is judged at the next occasion.
        min_severity: Below it, nothing is told.
        policy: The thresholds.
        max_text: Longest text that telemetry keeps; a longer message is cut there, not here.
    """

    def __init__(
        self,
        hook: AlertHook,
        record: Callable[..., None],
        *,
        every: int = 1,
        min_severity: Severity = Severity.WARNING,
        policy: MonitorPolicy | None = None,
        max_text: int | None = None,
    ) -> None:
        self.failed_calls = 0
        """Calls of the hook that raised."""
        self._hook = hook
        self._record = record
        self._every = every
        self._min_severity = min_severity
        self._policy = policy or MonitorPolicy()
        self._max_text = max_text
        self._events: EventFold | None = EventFold()
        """None once an analyzer has failed."""
        self._steps = 0
        """Logged steps since the latest judgement."""
        self._is_due = False
        self._told: dict[str, Severity] = {}
        self._on_record: dict[str, Severity] = {}
        """The greatest severity of each code on record."""

    def add(self, event: AnyEvent) -> None:
        """An event was recorded; never raises."""
        if self._events is None:
            return
        try:
            self._events.add(event)
        except Exception as error:  # noqa: BLE001  training goes on whatever an analyzer does
            self._switch_off(error)
        if isinstance(event, TrainStep):
            self._steps += 1
            self._is_due = self._is_due or self._steps >= self._every
        elif isinstance(event, Alert):
            worse = _is_worse(event.severity, self._on_record.get(event.code))
            if worse:
                self._on_record[event.code] = event.severity
            self._is_due = self._is_due or worse
        elif isinstance(event, Eval):
            self._is_due = True

    def judge(self, step: int, *, now: bool = False) -> MonitorAlert | None:
        """Tells the hook of what is new, where it is time to look.

        Args:
            step: The step that is done.
            now: Whether to look without waiting for the next occasion.

        Returns:
            The first alert for which the hook asked to stop; None where it did not.
        """
        if not (self._is_due or (now and self._steps)):
            return None
        stop = None
        for alert in self._new_alerts():
            self._told[alert.code] = alert.severity
            self._put_on_record(alert, step)
            if self._call(alert) is HookReply.STOP and stop is None:
                stop = alert
        self._steps, self._is_due = 0, False
        return stop

    def _new_alerts(self) -> tuple[MonitorAlert, ...]:
        if self._events is None:
            return ()
        try:
            alerts = monitor_report("", self._events.signals(), (), self._policy).alerts
        except Exception as error:  # noqa: BLE001  training goes on whatever an analyzer does
            self._switch_off(error)
            return ()
        return tuple(
            alert
            for alert in alerts
            if alert.code not in NO_NEWS
            and alert.severity.at_least(self._min_severity)
            and _is_worse(alert.severity, self._told.get(alert.code))
        )

    def _put_on_record(self, alert: MonitorAlert, step: int) -> None:
        """Writes the alert, where no one else has."""
        if _is_worse(alert.severity, self._on_record.get(alert.code)):
            message = _shortened(alert.message, self._max_text)
            self._record(alert.severity, alert.code, message, context=_facts(alert), step=step)

    def _call(self, alert: MonitorAlert) -> object:
        try:
            return self._hook(alert)
        except Exception as error:  # noqa: BLE001  training goes on whatever a hook does
            self.failed_calls += 1
            if self.failed_calls == 1:
                logger.warning(
                    "the on_alert hook failed (%s); training goes on, and further failures are "
                    "counted in GradienceCallback.failed_hooks",
                    type(error).__name__,
                )
            return None

    def _switch_off(self, error: Exception) -> None:
        self._events = None
        name = type(error).__name__
        shown = f"{name}: {error}" if isinstance(error, GradienceError) else name
        logger.warning("live alerts are switched off (%s); training goes on", shown)


def _is_worse(severity: Severity, known: Severity | None) -> bool:
    return known is None or severity.order > known.order


def _facts(alert: MonitorAlert) -> Mapping[str, object]:
    """The numbers behind an alert, and the steps that it is about."""
    numbers = {
        key: value for key, value in alert.context.items() if isinstance(value, bool | int | float)
    }
    steps = {"first_step": alert.first_step, "last_step": alert.last_step}
    known = {key: step for key, step in steps.items() if step is not None}
    return {**numbers, **known, LIVE: True}


def _shortened(text: str, length: int | None) -> str:
    if length is None or len(text) <= length:
        return text
    return text[: max(length - len(CUT), 0)] + CUT[:length]
