"""Throughput drop: a run goes at less than half of its earlier speed, and stays there."""

from collections.abc import Iterator

import attrs
import numpy as np

from gradience.core.monitoring.alert import AlertSeries, MonitorAlert
from gradience.core.monitoring.conditions.robust import median
from gradience.core.severity import Severity
from gradience.core.signals.batch import NO_STEP, Floats, Ints
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.pipeline import RunSignals
from gradience.core.telemetry.clock import CLOCK, NO_CLOCK


@attrs.frozen(kw_only=True)
class ThroughputDropPolicy:
    """When a run has become slow (inferred: half the speed is worth a look at the machine)."""

    factor: float = 2.0
    """Seconds per step of late over those before."""
    intervals: int = 20
    """Intervals between logged steps that are late; as many at least lie before them."""


MAX_POINTS = 200
"""Points of the series at most."""


def find_throughput_drop(
    signals: RunSignals, policy: ThroughputDropPolicy = ThroughputDropPolicy()
) -> Iterator[MonitorAlert]:
    """A run that has become slow for good.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        ``throughput_drop`` (info) where the median seconds per step of the latest intervals are
        at least ``factor`` times those before. Evaluations and pauses are single intervals and
        do not move a median. Nothing where the record tells no time, or where steps go back
        without a declared resume: then several clocks are in one log.
    """
    known = signals.history.last_step[signals.history.last_step != NO_STEP]
    if signals.run.meta.get(CLOCK) == NO_CLOCK or (np.diff(known) < 0).any():
        return
    steps, seconds = _seconds_per_step(signals.history)
    if seconds.size < 2 * policy.intervals:
        return
    late, before = seconds[-policy.intervals :], seconds[: -policy.intervals]
    now, earlier = median(late), median(before)
    if earlier <= 0 or now < policy.factor * earlier:
        return
    first = int(steps[-policy.intervals])
    shown = slice(-MAX_POINTS, None)
    yield MonitorAlert(
        severity=Severity.INFO,
        code="throughput_drop",
        message=f"a step takes {now:.3g} s since step {first}, {earlier:.3g} s before: is the "
        "machine shared, hot or short of memory, or are the examples longer?",
        first_step=first,
        last_step=int(steps[-1]),
        context={"seconds_per_step": now, "seconds_per_step_before": earlier},
        series=(
            AlertSeries(
                name="seconds_per_step",
                step=tuple(map(known_step, steps[shown].tolist())),
                value=tuple(seconds[shown].tolist()),
            ),
        ),
        source="inferred: a median over 20 logged intervals, twice that before",
    )


def _seconds_per_step(history: History) -> tuple[Ints, Floats]:
    """Seconds per step between neighbouring rows that go forward, and the steps they end at."""
    known = np.isfinite(history.ts) & (history.last_step != NO_STEP)
    step, ts = history.last_step[known], history.ts[known]
    with np.errstate(over="ignore"):
        passed, went = np.diff(ts), np.diff(step)
    forward = (went > 0) & (passed > 0) & np.isfinite(passed)
    return step[1:][forward], passed[forward] / went[forward]
