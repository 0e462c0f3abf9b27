"""Extreme learning rate: outside any range that fine-tuning is known to work in."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.alert import AlertSeries, MonitorAlert
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.severity import Severity
from gradience.core.signals.batch import Floats
from gradience.core.signals.loss import SMOOTHING_WINDOW, known_step
from gradience.core.signals.pipeline import RunSignals

SOURCE = (
    "Biderman et al., LoRA Learns Less and Forgets Less (arXiv:2405.09673): best LoRA rates are "
    "5e-5 to 5e-4 with AdamW; twenty times beyond that the edge is inferred"
)

OWN_SCALE = ("sgd", "prodigy", "dadapt", "adafactor", "lamb", "lars", "adagrad", "adadelta", "muon")
"""Parts of the names of optimizers whose rates are on a scale of their own: SGD and the layer-wise
ones take 0.1 and more, Adafactor's is relative, Prodigy and D-Adaptation multiply by their own
estimate and want 1."""

PROMPT_METHODS = ("PROMPT", "PREFIX", "P_TUNING")
"""Parts of ``peft_type`` of methods that train virtual tokens, at rates of 1e-2 to 0.3."""


@attrs.frozen(kw_only=True)
class ExtremeLrPolicy:
    """What no learning rate of an Adam-like optimizer is."""

    high: float = 1e-2
    """Peak from which on a rate is called extreme: twenty times the top of the band that
    Biderman et al. found best (5e-4)."""
    absurd: float = 1.0
    """Peak from which on it can only be a mistake (a published run with learning_rate 5 lost
    its model within one step): error."""
    low: float = 1e-8
    """Peak below which nothing is learnt in any published recipe (the smallest, of preference
    learning, are about 1e-7; inferred)."""
    improved: float = 0.9
    """Where the last training losses are below this share of the first, the rate evidently
    works, whatever its scale: the alert is an info."""
    slight: float = 0.99
    """The same, where the two differ by ``significance`` standard errors."""
    significance: float = 4.0
    least_rows: int = 5
    """Logged rates from which on a rate that is too small or zero is told (inferred): one row
    may be the first of a warm-up or the last of a decay."""
    few_rows: int = 3
    """From so many on it is an info."""


class _Peak(NamedTuple):
    value: float
    step: int | None
    row: int | None
    """None where it is configured, not logged."""


def find_extreme_lr(
    signals: RunSignals, policy: ExtremeLrPolicy = ExtremeLrPolicy()
) -> Iterator[MonitorAlert]:
    """A learning rate that is far too large or too small.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        ``extreme_lr``: an error for a peak of 1 and more, a warning for one that is large, an
        info where the loss fell all the same; a warning for a peak that is next to nothing or a
        rate of 0 throughout (an info where few were logged). Nothing for optimizers and methods
        whose rates are on a scale of their own, where the configuration names them. The
        configured rate is judged where none was logged.
    """
    peak = _peak(signals)
    if peak is None or _own_scale(signals):
        return
    if peak.value >= policy.high:
        yield _too_large(signals, peak, policy)
    elif peak.value < policy.low and _settled(signals, policy):
        message = (
            f"the learning rate is at most {peak.value:.3g}"
            if peak.value > 0
            else f"the learning rate is 0 in all {signals.learning_rate.n} logged rows"
        )
        message += f", below {policy.low:g}: nothing is learnt at that"
        sure = signals.learning_rate.n >= policy.least_rows
        severity = Severity.WARNING if sure else Severity.INFO
        yield _alert(signals, severity, message, peak, policy.low)


def _peak(signals: RunSignals) -> _Peak | None:
    lr = signals.history.lr
    known = np.flatnonzero(np.isfinite(lr.high))
    if known.size:
        row = int(known[np.argmax(lr.high[known])])
        return _Peak(float(lr.high[row]), known_step(int(lr.high_step[row])), row)
    config = signals.run.config
    configured = config.optimizer.lr if config else None
    if configured is None or not math.isfinite(configured):
        return None
    return _Peak(configured, None, None)


def _own_scale(signals: RunSignals) -> bool:
    config = signals.run.config
    if config is None:
        return False
    optimizer = (config.optimizer.name or "").lower()
    method = str(config.extras.get("peft_type", "")).upper()
    own = any(word in optimizer for word in OWN_SCALE)
    return own or any(word in method for word in PROMPT_METHODS)


def _settled(signals: RunSignals, policy: ExtremeLrPolicy) -> bool:
    """Whether enough was logged, and the rate does not still rise (warm-up)."""
    values = signals.history.lr.value
    known = values[np.isfinite(values)]
    rising = bool(known.size) and known[-1] == known.max() and known[-1] > known[0]
    return known.size >= policy.few_rows and not rising


def _too_large(signals: RunSignals, peak: _Peak, policy: ExtremeLrPolicy) -> MonitorAlert:
    severity = Severity.ERROR if peak.value >= policy.absurd else Severity.WARNING
    at = "" if peak.step is None else f" (step {peak.step})"
    where = "" if peak.row is not None else "configured "
    message = f"the {where}learning rate reaches {peak.value:.3g}{at}, beyond {policy.high:g}"
    if _improved(signals.history.loss.value, policy):
        message += "; the loss falls all the same: an optimizer that scales its rate itself?"
        return _alert(signals, Severity.INFO, message, peak, policy.high)
    message += ": more than twenty times what fine-tuning with an Adam-like optimizer takes"
    return _alert(signals, severity, message, peak, policy.high)


def _improved(loss: Floats, policy: ExtremeLrPolicy) -> bool:
    """Whether the loss fell. Exact zeros do not count: they are what broken steps log, or NaN."""
    known = loss[np.isfinite(loss) & (loss != 0)]
    part = min(SMOOTHING_WINDOW, known.size // 2)
    if not part:
        return False
    first, last = known[:part], known[-part:]
    before, now = float(first.mean()), float(last.mean())
    error = math.sqrt(float(first.var() + last.var()) / max(part - 1, 1))
    clear = part > 1 and before - now > policy.significance * error
    return now < policy.improved * before or (clear and now < policy.slight * before)


def _alert(
    signals: RunSignals, severity: Severity, message: str, peak: _Peak, edge: float
) -> MonitorAlert:
    series: tuple[AlertSeries, ...] = ()
    if peak.row is not None:
        series = alert_series(signals.history, "lr", "loss", first_row=peak.row, last_row=peak.row)
    return MonitorAlert(
        severity=severity,
        code="extreme_lr",
        message=message,
        first_step=peak.step,
        last_step=peak.step,
        context={"peak": peak.value, "threshold": edge, "logged": peak.row is not None},
        series=series,
        source=SOURCE,
    )
