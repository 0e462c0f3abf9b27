"""No learning: the training loss did not improve over the run."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import attrs
import msgspec
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.robust import (
    MEDIAN_VARIANCE,
    Points,
    finite_points,
    median,
    odd_window,
    rolling_median,
    scale_around,
    window_medians,
)
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.severity import Severity
from gradience.core.signals.batch import NO_STEP, Floats
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective, ObjectiveSignal
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class NoLearningPolicy:
    """Thresholds of :func:`find_no_learning`. Inferred, but for where a source is named.

    Measured (benchmarks/condition_rates.py): on 9000 healthy synthetic runs, half of them seen
    before they were over, 0.3 warnings and 7.2 infos per 1000, all where the noise or an early end
    hides the learning. Of flat runs of 100 rows it finds 99, 97 and 58 % at a noise of 1, 5 and
    10 % per row; of 20 rows 98, 45 and 19 %.
    """

    min_rows: int = 20
    """Shorter records may not have begun to learn …"""
    few_rows: int = 8
    """… unless they hold this many rows and …"""
    few_rows_fraction: float = 0.5
    """… this fraction of the planned steps."""
    min_rows_at_peak: int = 15
    """Rows logged with the learning rate at its height or past it: nothing is learned in a
    warm-up, and while the rate still rises no one can tell. Half of the rows suffice where they
    are few."""
    peak_share: float = 0.9
    """Share of the largest rate so far at which the warm-up counts as over."""
    min_improvement: float = 0.01
    """Share of the level below which an improvement is none."""
    significance: float = 4.0
    """Standard errors from which on an improvement is one: the largest of the eight that are tried
    exceeds it on 1 % of flat series (measured) …"""
    suspicion: float = 2.0
    """… and those from which on it may be one: info. Of runs that fall by 12 % within three rows
    and rest, with a noise of 6 %, one in fifteen is below (measured)."""
    dead_significance: float = 6.0
    """The same where every gradient norm is exactly 0: beyond it the norms are what is wrong."""
    confident_below: float = 0.05
    """Improvement, as a share of the level, that must be ruled out (with ``confidence`` standard
    errors) before a noisy series is called flat."""
    confidence: float = 2.0
    warning_noise: float = 0.1
    """Noise of single losses, as a share of the level, up to which a flat loss is a warning; a
    noisier one is an info, as slow learning may hide in it."""
    info_noise: float = 0.25
    """Noise up to which it is an info; nothing is said beyond."""
    warning_range: float = 0.06
    """Largest difference between the medians of the record's quarters, as a share of the level,
    of a warning: a loss that goes up and down is not flat."""
    early_rows: tuple[int, ...] = (1, 3, 5, 10, 20)
    """Lengths of the beginnings that are held against the best level later …"""
    early_shares: tuple[float, ...] = (0.1, 0.25, 0.5)
    """… and as shares of the record: a run may learn in its first rows and rest for the others."""
    noise_rows: int = 20
    """Rows at least from which the noise of a beginning is measured."""
    best_share: float = 0.25
    """Share of the record over which a later level is taken."""
    near_zero: float = 0.05
    """A loss of this level has little to learn: near_zero_train_loss speaks of it."""
    risen: float = 1.5
    """A last level this many times the first is divergence's matter."""
    unseen_start: int = 5
    """First logged steps beyond this many logging intervals: the record is of a continued run,
    whose learning came before."""
    chance_classes: int = 2
    """A loss that rests at ln 2, that of a coin's toss between two classes, has collapsed, whatever
    came before …"""
    most_chance_classes: int = 10
    """… and one at ln n for up to so many classes where the run scores labels: of more, the levels
    lie too close together to mean anything."""
    chance_width: float = 0.0075
    """Share by which a level may miss it …"""
    chance_noise: float = 0.01
    """… and the most noise, as a share, of a loss that rests there."""
    chance_share: float = 0.5
    """Last share of the record that rests there."""
    source: str = (
        "a loss that stays where it began, or at ln n, the loss of guessing between n classes; "
        "remedies: Axolotl's stability guide"
    )


class _Level(NamedTuple):
    """What the series does."""

    first: float
    last: float
    noise: float
    """Robust standard deviation of single losses."""


def find_no_learning(
    signals: RunSignals, policy: NoLearningPolicy = NoLearningPolicy()
) -> Iterator[MonitorAlert]:
    """A training loss that is flat (or rises a little) from the first row to the last.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert. Silent on reinforcement learning, on losses below zero, on few rows, in
        the warm-up, on the record of a continued run, near zero, and where the noise would hide an
        improvement.
    """
    points = finite_points(signals.history.loss)
    if signals.objective.kind is Objective.REINFORCEMENT or not _long_enough(signals, policy):
        return
    if points.low.min() < 0 or not _begun(signals.history, points, policy):
        return
    level = _level(points.value, policy)
    if level.last <= policy.near_zero or level.last >= policy.risen * level.first:
        return
    severity = _severity(points.value, level, policy)
    classes = _rests_at_chance(points.value, signals.objective, policy)
    dead = not classes and _is_dead(signals.history, points, level, policy)
    if classes or dead:
        severity = Severity.WARNING
    if severity is not None:
        words = _words(signals.history, points, level, classes=classes, dead=dead)
        context = {"at_chance": classes is not None, "dead_gradients": dead}
        found = _alert(signals.history, points, level, policy.source)
        yield msgspec.structs.replace(
            found, severity=severity, message=words, context={**found.context, **context}
        )


def _long_enough(signals: RunSignals, policy: NoLearningPolicy) -> bool:
    n = finite_points(signals.history.loss).n
    advanced = (signals.progress.fraction or 0.0) >= policy.few_rows_fraction
    return n >= (policy.few_rows if advanced else policy.min_rows)


def _begun(history: History, points: Points, policy: NoLearningPolicy) -> bool:
    """Whether the record has the run's start and enough rows after its warm-up."""
    steps = history.first_step[points.row]
    if (steps != NO_STEP).all():
        interval = float(median(np.abs(np.diff(steps)).astype(np.float64)))
        if steps[0] > policy.unseen_start * max(interval, 1.0):
            return False
    rate = history.lr.value[points.row]
    known = np.isfinite(rate)
    if not known.any() or rate[known].max() < 0:
        return True
    at_peak = np.flatnonzero(known & (rate >= policy.peak_share * rate[known].max()))
    return points.n - int(at_peak[0]) >= min(policy.min_rows_at_peak, points.n // 2)


def _level(values: Floats, policy: NoLearningPolicy) -> _Level:
    early = values[: max(policy.noise_rows // 2, int(policy.early_shares[0] * values.size))]
    late = values[-max(policy.noise_rows // 2, int(policy.best_share * values.size)) :]
    return _Level(median(early), median(late), _noise(values))


def _noise(values: Floats) -> float:
    window = odd_window(values.size, 0.1, 9, 51)
    return scale_around(values, rolling_median(values, window))


def _severity(values: Floats, level: _Level, policy: NoLearningPolicy) -> Severity | None:
    noise = level.noise / level.last
    flat = noise <= policy.info_noise and _is_flat(values, level, policy)
    learned = _learned(values, level.noise, policy) if flat else math.inf
    if learned > policy.significance:
        return None
    quarters = [median(quarter) for quarter in np.array_split(values, 4)]
    still = max(quarters) - min(quarters) <= policy.warning_range * level.last
    sure = still and noise <= policy.warning_noise and learned <= policy.suspicion
    return Severity.WARNING if sure else Severity.INFO


def _is_dead(history: History, points: Points, level: _Level, policy: NoLearningPolicy) -> bool:
    """Whether every logged gradient norm is exactly 0, and the loss does not fall all the same.

    Some trainers log a gradient norm of 0 whatever it is.
    """
    norms = finite_points(history.grad_norm)
    dead = norms.n >= policy.few_rows and not norms.high.any()
    return dead and _learned(points.value, level.noise, policy) <= policy.dead_significance


def _is_flat(values: Floats, level: _Level, policy: NoLearningPolicy) -> bool:
    """Whether a worthwhile improvement from the first half to the second can be ruled out."""
    half = values.size // 2
    improvement = median(values[:half]) - median(values[half:])
    error = level.noise * math.sqrt(2 * MEDIAN_VARIANCE / half)
    most = improvement + policy.confidence * error
    return most <= policy.confident_below * level.last


def _learned(values: Floats, whole_noise: float, policy: NoLearningPolicy) -> float:
    """How far some beginning of the series lies above a level it reached later.

    Returns:
        Standard errors; 0 where every such difference is too small to matter.
    """
    most = 0.0
    n = values.size
    width = odd_window(n, policy.best_share, 5, n)
    later = window_medians(values, width)
    lengths = {*policy.early_rows, *(int(share * n) for share in policy.early_shares)}
    for rows in sorted(length for length in lengths if 0 < length <= n // 2):
        reached = later.level[later.start >= rows]
        if not reached.size:
            continue
        best = float(reached.min())
        noise = max(whole_noise, _noise(values[: max(rows, policy.noise_rows)]))
        variance = MEDIAN_VARIANCE if rows > 1 else 1.0
        error = noise * math.sqrt(variance * (1 / rows + 1 / width))
        improvement = median(values[:rows]) - best
        if improvement > policy.min_improvement * abs(best):
            most = max(most, improvement / error if error > 0 else math.inf)
    return most


def _rests_at_chance(
    values: Floats, objective: ObjectiveSignal, policy: NoLearningPolicy
) -> int | None:
    """The number of classes whose guessing loss the series rests at; None where it does not."""
    tail = values[-int(policy.chance_share * values.size) :]
    middle = median(tail)
    most = policy.most_chance_classes if objective.classification else policy.chance_classes
    for classes in range(policy.chance_classes, most + 1):
        chance = math.log(classes)
        close = abs(middle - chance) <= policy.chance_width * chance
        if close and median(np.abs(tail - chance)) <= policy.chance_noise * chance:
            return classes
    return None


def _words(
    history: History, points: Points, level: _Level, *, classes: int | None, dead: bool
) -> str:
    rows = _rows(history, points)
    if classes is not None:
        return (
            f"the training loss rests at {level.last:.4g}: ln {classes} = {math.log(classes):.4g} "
            f"is what guessing between {NUMERALS.get(classes, classes)} classes costs"
        )
    course = f"{level.first:.4g} at the start, {level.last:.4g} at the end"
    if dead:
        return (
            f"every logged gradient norm is exactly 0 and the training loss did not improve over "
            f"{rows} logged rows: {course}"
        )
    return (
        f"the training loss did not improve over {rows} logged rows: {course}, with a noise of "
        f"{level.noise:.2g}"
    )


NUMERALS = {2: "two", 3: "three"}
"""Numbers that a message spells out."""


def _rows(history: History, points: Points) -> int:
    return min(points.n * history.rows_per_bucket, history.n_rows)


def _alert(
    history: History,
    points: Points,
    level: _Level,
    source: str,
) -> MonitorAlert:
    first, last = int(points.row[0]), int(points.row[-1])
    return MonitorAlert(
        severity=Severity.INFO,
        code="no_learning",
        message="",
        first_step=known_step(int(history.first_step[first])),
        last_step=known_step(int(history.last_step[last])),
        context={
            "first": level.first,
            "last": level.last,
            "noise": level.noise,
            "rows": _rows(history, points),
        },
        series=alert_series(history, "loss", "lr", first_row=first, last_row=last),
        source=source,
    )
