"""Alerts about NaN and infinities: in what was logged, and in what the recorder saw itself."""

from collections.abc import Iterator

import msgspec

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.nonfinite_values import NonfiniteCount
from gradience.core.signals.pipeline import RunSignals
from gradience.core.signals.recorder_counts import StepCount
from gradience.core.signals.records import RecordedAlert

LOSS_IS_FILTERED = (
    "the Trainer's loss filter (logging_nan_inf_filter) then hides NaN losses, so the logged "
    "losses cannot be trusted"
)
"""Said beside mostly non-finite gradients (huggingface/trl#6702)."""

NONFINITE_GRADIENTS = "nonfinite_gradients"
NONFINITE_PARAMETERS = "nonfinite_parameters"
"""Codes of the recorder's alerts about what it saw at the optimizer step; told here with the
steps counted."""


def nonfinite_alerts(signals: RunSignals, policy: MonitorPolicy) -> Iterator[MonitorAlert]:
    """What was not finite: logged numbers, then the gradients and parameters themselves.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        An alert for each quantity; none for a clean run.
    """
    counts = signals.nonfinite.counts
    clean_loss = all(count.name != "loss" for count in counts)
    for count in counts:
        if count.name == "loss":
            yield _nonfinite_alert(Severity.ERROR, "nonfinite_loss", "training loss", count)
        elif count.name == "grad_norm":
            yield _nonfinite_grads(count, policy, clean_loss=clean_loss)
        elif count.name.startswith("eval."):
            name = count.name.removeprefix("eval.")
            yield _nonfinite_alert(Severity.WARNING, "nonfinite_eval", f"eval {name}", count)
        else:
            yield _nonfinite_alert(Severity.WARNING, "nonfinite_metric", count.name, count)
    yield from _seen_gradients(signals, policy, clean_loss=clean_loss)
    yield from _seen_parameters(signals, clean_loss=clean_loss)


def _seen_gradients(
    signals: RunSignals, policy: MonitorPolicy, *, clean_loss: bool
) -> Iterator[MonitorAlert]:
    seen = signals.recorder.nonfinite_grad_steps
    if seen.count:
        recorded = _recorded(signals, NONFINITE_GRADIENTS)
        # The recorder knows whether a loss scaler skips such steps by design.
        severity = recorded.severity if recorded else None
        severity = severity or _grad_severity(seen.count, policy, clean_loss=clean_loss)
        message = f"gradients were not finite at {_steps(seen, recorded)}"
        hidden = clean_loss and signals.loss.n and not signals.recorder.nonfinite_param_steps.count
        if hidden and severity.at_least(Severity.WARNING):
            message += "; the losses logged then may hide NaN (logging_nan_inf_filter)"
        yield _seen_alert(severity, NONFINITE_GRADIENTS, message, seen, recorded)


def _seen_parameters(signals: RunSignals, *, clean_loss: bool) -> Iterator[MonitorAlert]:
    seen = signals.recorder.nonfinite_param_steps
    if seen.count:
        recorded = _recorded(signals, NONFINITE_PARAMETERS)
        message = f"parameters were not finite at {_steps(seen, recorded)}"
        if clean_loss and signals.loss.n:
            message += (
                ", although every logged loss is finite: the Trainer's loss filter "
                "(logging_nan_inf_filter) replaces NaN in its logs"
            )
        yield _seen_alert(Severity.ERROR, NONFINITE_PARAMETERS, message, seen, recorded)


def _recorded(signals: RunSignals, code: str) -> RecordedAlert | None:
    return next((alert for alert in signals.records.alerts if alert.code == code), None)


def _steps(seen: StepCount, recorded: RecordedAlert | None) -> str:
    times = counted(seen.count, "optimizer step")
    if recorded is not None and recorded.first_step is not None:
        return f"{times}, first at step {recorded.first_step}"
    return (
        times if seen.first_step is None else f"{times}, first in the log of step {seen.first_step}"
    )


def _seen_alert(
    severity: Severity,
    code: str,
    message: str,
    seen: StepCount,
    recorded: RecordedAlert | None,
) -> MonitorAlert:
    """The alert with the steps counted, and what the recorder said of the first of them."""
    first = seen.first_step
    said: dict[str, object] = {}
    if recorded is not None:
        first = first if recorded.first_step is None else recorded.first_step
        said = {**recorded.context, "recorded": recorded.message}
    return MonitorAlert(
        severity=severity,
        code=code,
        message=message,
        first_step=first,
        last_step=seen.last_step,
        context={**said, "count": seen.count},
    )


def _grad_severity(count: int, policy: MonitorPolicy, *, clean_loss: bool) -> Severity:
    isolated = count <= policy.isolated_nonfinite_grads
    return Severity.INFO if isolated and clean_loss else Severity.WARNING


def _nonfinite_grads(
    count: NonfiniteCount, policy: MonitorPolicy, *, clean_loss: bool
) -> MonitorAlert:
    isolated = count.count <= policy.isolated_nonfinite_grads
    severity = _grad_severity(count.count, policy, clean_loss=clean_loss)
    if not isolated and count.count >= policy.nonfinite_grad_share * count.logged:
        alert = _nonfinite_alert(Severity.ERROR, "nonfinite_grad_norm", "gradient norm", count)
        context = {
            **alert.context,
            "share_from": policy.nonfinite_grad_share,
            "logged_loss": LOSS_IS_FILTERED,
        }
        return msgspec.structs.replace(alert, context=context)
    return _nonfinite_alert(severity, "nonfinite_grad_norm", "gradient norm", count)


def _nonfinite_alert(
    severity: Severity, code: str, what: str, count: NonfiniteCount
) -> MonitorAlert:
    of = f" of {count.logged}" if count.logged else ""
    times = f"{count.count}{of} logged values"
    where = f", first at step {count.first_step}" if count.first_step is not None else ""
    return MonitorAlert(
        severity=severity,
        code=code,
        message=f"{what}: {times} NaN or infinite{where}",
        first_step=count.first_step,
        last_step=count.last_step,
        context={"count": count.count, "logged": count.logged, "name": count.name},
    )
