"""Alerts about NaN and infinities: in what was logged, and in what the recorder saw itself."""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.series import alert_series
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

SOURCES: Mapping[str, str] = {
    "nonfinite_loss": "by definition; fp16 runs that turn into NaN: Lightning-AI/lit-llama#294, "
    "huggingface/peft#1522",
    "nonfinite_grad_norm": "single ones are how torch.amp.GradScaler finds its scale; from half of "
    "the norms on inferred (huggingface/trl#6702)",
    "nonfinite_eval": "by definition",
    "nonfinite_metric": "by definition",
}
"""Alert code → where its threshold comes from."""

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
            alert = _nonfinite_alert(Severity.ERROR, "nonfinite_loss", "training loss", count)
            yield _with_series(alert, signals, "loss", "grad_norm", "lr")
        elif count.name == "grad_norm":
            alert = _nonfinite_grads(signals, count, policy, clean_loss=clean_loss)
            yield _with_series(alert, signals, "grad_norm", "loss")
        elif count.name.startswith("eval."):
            name = count.name.removeprefix("eval.")
            yield _nonfinite_alert(Severity.WARNING, "nonfinite_eval", f"eval {name}", count)
        else:
            # Of metrics beside loss, rate and norm (a reward's deviation over one sample, a mean of
            # no completions) NaN is how some trainers write that there is none.
            severity = Severity.WARNING if count.name == "lr" else Severity.INFO
            yield _nonfinite_alert(severity, "nonfinite_metric", count.name, count)
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
        isolated = seen.count <= policy.isolated_nonfinite_grads
        severity = severity or _grad_severity(isolated=isolated, clean_loss=clean_loss)
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


def _grad_severity(*, isolated: bool, clean_loss: bool) -> Severity:
    return Severity.INFO if isolated and clean_loss else Severity.WARNING


def _is_isolated(signals: RunSignals, count: NonfiniteCount, policy: MonitorPolicy) -> bool:
    """Whether an fp16 loss scaler at work explains them."""
    few = policy.isolated_nonfinite_share * count.logged
    if count.count <= max(policy.isolated_nonfinite_grads, few):
        return True
    if count.last_step is None or count.logged < policy.scaler_rows_of:
        return False
    rows = np.count_nonzero(signals.history.first_step <= count.last_step)
    return bool(rows * signals.history.rows_per_bucket <= policy.scaler_rows)


def _nonfinite_grads(
    signals: RunSignals, count: NonfiniteCount, policy: MonitorPolicy, *, clean_loss: bool
) -> MonitorAlert:
    isolated = _is_isolated(signals, count, policy)
    severity = _grad_severity(isolated=isolated, clean_loss=clean_loss)
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
        source=SOURCES.get(code, ""),
    )


def _with_series(alert: MonitorAlert, signals: RunSignals, *columns: str) -> MonitorAlert:
    """The alert with the rows around its steps to plot."""
    steps = signals.history.first_step
    if alert.first_step is None or alert.last_step is None or not steps.size:
        return alert
    about = np.flatnonzero((steps >= alert.first_step) & (steps <= alert.last_step))
    first, last = (int(about[0]), int(about[-1])) if about.size else (0, steps.size - 1)
    series = alert_series(signals.history, *columns, first_row=first, last_row=last)
    return msgspec.structs.replace(alert, series=series)
