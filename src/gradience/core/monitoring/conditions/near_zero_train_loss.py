"""Near-zero training loss: the set is being memorised, or is trivial."""

from collections.abc import Iterator

import attrs

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.robust import Points, finite_points, median
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.severity import Severity
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class NearZeroTrainLossPolicy:
    """Thresholds of :func:`find_near_zero_train_loss`; absolute, as a cross-entropy's zero is.

    Measured (benchmarks/condition_rates.py): on 8000 synthetic runs that do not go to zero no
    warning and 1.1 infos per 1000.
    """

    warning_loss: float = 0.01
    """Nats: the right token or label has a probability of 0.99 (inferred; a guide of Unsloth calls
    less than 0.2 likely overfitting, another page of its 0.5 to 1.0 good, so neither is used)."""
    info_loss: float = 0.05
    """The same for an info: a probability of 0.95 (inferred)."""
    fallen_to: float = 0.2
    """Share of the first losses that the last ones must have fallen to: a squared error (of
    diffusion models, of actions) may be small from start to end (inferred)."""
    always_below: float = 0.001
    """A loss that starts and stays below this needs not have fallen, and is an info."""
    tail_share: float = 0.2
    """Last share of the record whose median is the level that the loss settled at."""
    min_tail: int = 3
    """Least rows of it."""
    min_rows: int = 5
    """Shorter records have not settled."""
    first_rows: int = 3
    """First rows, whose median (of a record of thrice as many, else the first alone) is where the
    loss came from."""
    source: str = (
        "advisory: Unsloth's guide takes less than 0.2 for likely overfitting; the limits here are "
        "probabilities of the right label of 0.95 and 0.99"
    )


def find_near_zero_train_loss(
    signals: RunSignals, policy: NearZeroTrainLossPolicy = NearZeroTrainLossPolicy()
) -> Iterator[MonitorAlert]:
    """A supervised training loss that settles near zero.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert. Silent on preference and reinforcement learning, where small losses are
    normal, on losses below zero, on few rows, and where the loss fell to exactly zero at once:
        that is zero_loss.
    """
    points = finite_points(signals.history.loss)
    supervised = signals.objective.kind is Objective.SUPERVISED
    if not supervised or points.n < policy.min_rows or points.low.min() < 0:
        return
    alive = points.value[points.value > 0]
    if not alive.size or median(alive[-policy.min_tail :]) > policy.info_loss:
        return
    tail = max(policy.min_tail, int(policy.tail_share * points.n))
    long = points.n >= policy.first_rows * policy.first_rows
    first = median(points.value[: policy.first_rows if long else 1])
    level = median(points.value[-tail:])
    severity = _severity(first, level, policy)
    if severity is not None:
        yield _alert(signals.history, points, (first, level, tail), severity, policy)


def _severity(first: float, level: float, policy: NearZeroTrainLossPolicy) -> Severity | None:
    fell = level <= policy.fallen_to * first
    if level <= policy.warning_loss and fell:
        return Severity.WARNING
    if level <= (policy.info_loss if fell else policy.always_below):
        return Severity.INFO
    return None


def _alert(
    history: History,
    points: Points,
    numbers: tuple[float, float, int],
    severity: Severity,
    policy: NearZeroTrainLossPolicy,
) -> MonitorAlert:
    first, level, tail = numbers
    settled = int(points.row[-tail])
    last = int(points.row[-1])
    step = known_step(int(history.first_step[settled]))
    since = "" if step is None else f" since step {step}"
    return MonitorAlert(
        severity=severity,
        code="near_zero_train_loss",
        message=f"the training loss has settled at {level:.3g}{since}, from {first:.3g} at the "
        "start: the set is memorised or trivial, or the inputs contain the answers",
        first_step=step,
        last_step=known_step(int(history.last_step[last])),
        context={"level": level, "first": first, "rows": tail * history.rows_per_bucket},
        series=alert_series(history, "loss", first_row=0, last_row=last),
        source=policy.source,
    )
