"""Zero loss: the loss is exactly zero with a dead gradient, from masked labels or a broken step."""

import math
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.robust import (
    Points,
    finite_points,
    longest_run,
    median,
)
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.severity import Severity
from gradience.core.signals.batch import Floats, Ints
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class ZeroLossPolicy:
    """Thresholds of :func:`find_zero_loss`.

    Measured (benchmarks/condition_rates.py): on 9000 healthy synthetic runs no alert; of runs
    whose loss and gradient norm become 0, all are found.
    """

    min_rows: int = 3
    """Zeros in a row that are no accident of one batch; the whole of a record may be shorter."""
    min_rows_whole: int = 2
    """Zeros that are a record's only losses."""
    memorised_below: float = 0.002
    """A loss at this level before the zeros came down to them: the Trainer rounds to four digits,
    so 0.0 then means less than 0.00005 (40 times that; inferred)."""
    level_rows: int = 10
    """Rows before the zeros that give this level."""
    source: str = (
        "loss 0 with a gradient norm of NaN (hiyouga/LLaMA-Factory#3353), pinned to the clip "
        "(#8004), or for ever after one high value (huggingface/trl#618)"
    )


class _Gradient(Enum):
    """What the gradient norm is on the rows of zero loss."""

    ZERO = "the gradient norm is exactly 0 there too"
    CONSTANT = "the gradient norm does not move there"
    NOT_FINITE = "the gradient norm is not finite there"
    NOT_LOGGED = "no gradient norm was logged"
    ALIVE = "the gradient norm varies"


class _Zeros(NamedTuple):
    """Points ``start`` to ``stop - 1`` of the losses, all zero."""

    start: int
    stop: int
    before: float
    """The loss before them; NaN where they begin the record."""
    gradient: _Gradient


def find_zero_loss(
    signals: RunSignals, policy: ZeroLossPolicy = ZeroLossPolicy()
) -> Iterator[MonitorAlert]:
    """The longest stretch of losses that are exactly zero while nothing is learned.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert: an error where the zeros last to the end, a warning where the loss came
        back. Silent on reinforcement learning, and where the loss came down to zero (rounded) with
        gradients alive: that is near_zero_train_loss.
    """
    points = finite_points(signals.history.loss)
    if signals.objective.kind is Objective.REINFORCEMENT or not points.n:
        return
    start, stop = longest_run((points.low == 0) & (points.high == 0))
    enough = policy.min_rows_whole if stop - start == points.n else policy.min_rows
    if stop - start < enough:
        return
    zeros = _Zeros(
        start,
        stop,
        median(points.value[max(0, start - policy.level_rows) : start]),
        _gradient(signals, points.row[start:stop]),
    )
    severity = _severity(zeros, points, policy)
    if severity is not None:
        yield _alert(signals.history, points, zeros, severity, policy)


def _gradient(signals: RunSignals, rows: Ints) -> _Gradient:
    norms: Floats = signals.history.grad_norm.value
    known = norms[rows][np.isfinite(norms[rows])]
    if not known.size:
        nonfinite = any(count.name == "grad_norm" for count in signals.nonfinite.counts)
        return _Gradient.NOT_FINITE if nonfinite else _Gradient.NOT_LOGGED
    if not known.any():
        return _Gradient.ZERO
    return _Gradient.CONSTANT if known.size > 1 and np.ptp(known) == 0 else _Gradient.ALIVE


def _severity(zeros: _Zeros, points: Points, policy: ZeroLossPolicy) -> Severity | None:
    memorised = zeros.before <= policy.memorised_below
    if zeros.gradient is _Gradient.ALIVE or (memorised and zeros.gradient is not _Gradient.ZERO):
        return None
    if memorised:
        return Severity.INFO
    return Severity.ERROR if zeros.stop == points.n else Severity.WARNING


def _alert(
    history: History,
    points: Points,
    zeros: _Zeros,
    severity: Severity,
    policy: ZeroLossPolicy,
) -> MonitorAlert:
    first, last = int(points.row[zeros.start]), int(points.row[zeros.stop - 1])
    rows = (zeros.stop - zeros.start) * history.rows_per_bucket
    step, end = known_step(int(history.first_step[first])), known_step(int(history.last_step[last]))
    where = "" if step is None or end is None else f" (steps {step} to {end})"
    whole = (
        "every logged loss" if zeros.stop - zeros.start == points.n else f"{rows} losses in a row"
    )
    why = (
        "the run has nothing left to learn from its data"
        if severity is Severity.INFO
        else "the labels are all masked, or losses of NaN are logged as 0 "
        "(logging_nan_inf_filter): nothing is being learned"
    )
    return MonitorAlert(
        severity=severity,
        code="zero_loss",
        message=f"{whole}{where} is exactly 0 and {zeros.gradient.value}: {why}",
        first_step=step,
        last_step=end,
        context={
            "rows": rows,
            "loss_before": None if math.isnan(zeros.before) else zeros.before,
            "gradient": zeros.gradient.name.lower(),
            "lasts_to_the_end": zeros.stop == points.n,
        },
        series=alert_series(history, "loss", "grad_norm", first_row=first, last_row=last),
        source=policy.source,
    )
