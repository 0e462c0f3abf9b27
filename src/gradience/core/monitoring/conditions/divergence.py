"""Divergence: the training loss left its level and stayed far above it."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.restarts import follows, stepped_back_rows
from gradience.core.monitoring.conditions.robust import (
    Points,
    WindowMedians,
    finite_points,
    logarithms,
    median,
    odd_window,
    rolling_median,
    scale_around,
    window_medians,
)
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.monitoring.wording import multiple
from gradience.core.severity import Severity
from gradience.core.signals.batch import Floats, Ints
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class DivergencePolicy:
    """Thresholds of :func:`find_divergence`.

    Measured (benchmarks/condition_rates.py): on 9000 healthy synthetic runs, half of them seen
    before they were over, 0.1 warnings and 2 infos per 1000. Of rises to 2, 3 and 5 times the
    level, with row-to-row noise of up to 15 %, it finds 96, 99 and 100 %; over all noises (to 70 %)
    66, 75 and 85 %.
    """

    error_ratio: float = 1.8
    """Lasting level over the lowest level before it: an error. Published: about twice the start
    over three checks (Axolotl's stability guide); here it is against the best level and for all
    the rest of the run, hence a little less (inferred)."""
    warning_ratio: float = 1.5
    """From here on a warning (inferred)."""
    min_score: float = 4.0
    """Least rise in robust standard deviations of single losses, on a log scale (inferred)."""
    few_rows_score: float = 5.5
    """The least rise is also this many times 1/√w + 1/√m, for levels over w rows before and m
    rows after: the lowest of many medians of three rows is low by chance (inferred)."""
    warning_score: float = 2.0
    """How many times that rise a warning takes, whose ratio is smaller (inferred)."""
    start_share: float = 0.75
    """The rise begins where it first reaches this share of its ratio."""
    clear_share: float = 0.95
    """The same where only the noise after the rise is told: by then it is over."""
    above_median: float = 1.25
    """The lasting level must be this many times the median of all losses before: what a run near
    zero gives back of its progress is not yet divergence (inferred)."""
    median_floor: float = 0.5
    """The level before counts as at least this share of that median: a visit near zero is no
    level (inferred)."""
    min_rows: int = 6
    """Shorter records tell no level."""
    min_after: int = 4
    """Rows for which it must have lasted."""
    min_after_share: float = 0.05
    """The same as a share of the record, where that is more."""
    few_before: int = 3
    """With fewer rows before the rise than this, their level is one batch's luck …"""
    few_ratio: float = 4.0
    """… and the ratio must be this large (the public run with a learning rate of 5 has one row
    before it, and 6.3); from ``few_info_ratio`` on it is an info (inferred)."""
    few_info_ratio: float = 2.3
    after_restart: int = 10
    """A rise within this many rows around a step that goes back is another run's start (inferred).
    """
    window_share: float = 0.05
    """Share of the record over which a level is taken."""
    max_window: int = 51
    """Most rows of it."""
    noise_rows: int = 5
    """Rows before the rise from which on their noise counts."""
    scale_floor: float = 0.03
    """Least noise of the logarithm of the loss (inferred)."""
    source: str = (
        "about twice the start and staying there (Axolotl's stability guide); sudden lasting "
        "rises: haotian-liu/LLaVA#918"
    )


class _Rise(NamedTuple):
    """A change of level at point ``start`` of the series."""

    start: int
    before: float
    """The lowest level before."""
    after: float
    """The lowest level that the loss comes back to later."""
    score: float
    """Logarithm of the ratio in robust standard deviations of single losses."""
    least_score: float
    """What chance can do with as few rows."""

    @property
    def ratio(self) -> float:
        """Lasting level over the lowest level before."""
        return self.after / self.before


def find_divergence(
    signals: RunSignals, policy: DivergencePolicy = DivergencePolicy()
) -> Iterator[MonitorAlert]:
    """A rise of the training loss that lasts to the end of the record.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert, an info where only the first rows were lower, or where the loss was
        still on the move before the rise. Silent on reinforcement learning, on losses below zero
        and on few rows.
    """
    points = finite_points(signals.history.loss)
    if signals.objective.kind is Objective.REINFORCEMENT or points.n < policy.min_rows:
        return
    if points.low.min() < 0:
        return
    for few_ratio in (policy.few_ratio, policy.few_info_ratio):
        rise = _largest_rise(points.value, policy, few_ratio)
        severity = None if rise is None else _severity(points, rise, policy)
        if rise is None or severity is None:
            continue
        if not _is_another_run(signals.history, points, rise, policy):
            yield _alert(signals.history, points, rise, severity, policy)
        return
    rise = _clearest_rise(points.value, policy)
    if rise is not None and not _is_another_run(signals.history, points, rise, policy):
        yield _alert(signals.history, points, rise, Severity.INFO, policy)


def _largest_rise(values: Floats, policy: DivergencePolicy, few_ratio: float) -> _Rise | None:
    """The largest rise; one from the first few rows counts from ``few_ratio`` on only."""
    found = _ratios(values, policy, few_ratio)
    enough = max(policy.warning_ratio, policy.start_share * float(found.ratio.max(initial=0.0)))
    begun = np.flatnonzero(found.ratio >= enough)
    if not begun.size:
        return None
    rise = _rise_at(values, found, int(begun[0]), policy)
    return rise._replace(score=rise.score / _noise(values, rise.start, policy))


def _clearest_rise(values: Floats, policy: DivergencePolicy) -> _Rise | None:
    """The rise to about the largest ratio, where it stands out from the noise after it alone.

    A loss that falls steeply up to the rise, or climbs for long, has no noise before it that a
    few rows would tell.
    """
    found = _ratios(values, policy, policy.few_ratio)
    largest = float(found.ratio.max(initial=0.0))
    if largest < policy.warning_ratio:
        return None
    begun = np.flatnonzero(found.ratio >= policy.clear_share * largest)
    rise = _rise_at(values, found, int(begun[0]), policy)
    rise = rise._replace(score=rise.score / _noise(values, rise.start, policy, after_only=True))
    held = rise.after >= policy.above_median * median(values[: rise.start])
    stands_out = rise.score >= max(policy.min_score, rise.least_score)
    return rise if held and stands_out and rise.ratio >= policy.warning_ratio else None


class _Ratios(NamedTuple):
    """Lasting level over the lowest before it, for a rise at each window; shape (m,) each."""

    start: Ints
    before: Floats
    after: Floats
    ratio: Floats
    """0 where no rise can be told."""


def _ratios(values: Floats, policy: DivergencePolicy, few_ratio: float) -> _Ratios:
    n = values.size
    window = odd_window(n, policy.window_share, 3, policy.max_window)
    lasting = max(policy.min_after, window, math.ceil(policy.min_after_share * n))
    windows = window_medians(values, window)
    after = np.minimum.accumulate(windows.level[::-1])[::-1]
    before = _lowest_before(values, windows, window, policy.few_before)
    candidates = (windows.start > 0) & (windows.start <= n - lasting) & (before > 0)
    ratios = np.divide(after, before, out=np.zeros_like(after), where=candidates)
    ratios[(windows.start < policy.few_before) & (ratios < few_ratio)] = 0.0
    return _Ratios(windows.start, before, after, ratios)


def _rise_at(values: Floats, found: _Ratios, at: int, policy: DivergencePolicy) -> _Rise:
    """The rise at a window, its score still in natural logarithms."""
    start, level, n = int(found.start[at]), float(found.after[at]), values.size
    window = odd_window(n, policy.window_share, 3, policy.max_window)
    lowest = max(float(found.before[at]), policy.median_floor * median(values[:start]))
    return _Rise(
        start,
        lowest,
        level,
        math.log(level / lowest) if lowest < level else 0.0,
        policy.few_rows_score * (1 / math.sqrt(min(window, start)) + 1 / math.sqrt(n - start)),
    )


def _lowest_before(values: Floats, windows: WindowMedians, window: int, few: int) -> Floats:
    """Per window, the lowest level reached in the rows before it; infinite for the first.

    Before the first full window, the level is the median of all rows so far; that of fewer than
    ``few`` rows serves only what comes right after them.
    """
    whole = np.minimum.accumulate(windows.level)
    place = np.searchsorted(windows.start, windows.start - window, side="right") - 1
    lowest = np.where(place >= 0, whole[place], np.inf)
    starts = windows.start[windows.start < window]
    early = np.array([median(values[:start]) if start else np.inf for start in starts])
    known = np.minimum.accumulate(np.where(starts >= few, early, np.inf))
    lowest[: early.size] = np.minimum(early, known)
    lowest[early.size :] = np.minimum(lowest[early.size :], known[-1])
    return lowest


def _noise(
    values: Floats, start: int, policy: DivergencePolicy, *, after_only: bool = False
) -> float:
    """Robust standard deviation of the logarithm of single losses, the larger of both sides.

    Fewer rows than ``noise_rows`` before the rise tell none: they may be its first climb.
    """
    logs = logarithms(values, float(values.mean()))
    window = odd_window(values.size, policy.window_share, 5, policy.max_window)
    told_before = start >= policy.noise_rows and not after_only
    sides = [logs[start:], *([logs[:start]] if told_before else [])]
    return max([policy.scale_floor, *(scale_around(s, rolling_median(s, window)) for s in sides)])


def _is_another_run(
    history: History, points: Points, rise: _Rise, policy: DivergencePolicy
) -> bool:
    """Whether the steps go back about where the loss rises."""
    window = odd_window(points.n, policy.window_share, 3, policy.max_window)
    latest = int(points.row[min(rise.start + window, points.n - 1)])
    earliest = max(0, int(points.row[rise.start]) - policy.after_restart)
    return follows(stepped_back_rows(history), latest, latest - earliest + 1)


def _severity(points: Points, rise: _Rise, policy: DivergencePolicy) -> Severity | None:
    values = points.value
    if rise.after < policy.above_median * median(values[: rise.start]):
        return None
    least = max(policy.min_score, rise.least_score)
    if rise.start < policy.few_before and rise.ratio < policy.few_ratio:
        return Severity.INFO if rise.score >= least else None
    if rise.ratio >= policy.error_ratio and rise.score >= least:
        return Severity.ERROR
    warn = rise.ratio >= policy.warning_ratio and rise.score >= policy.warning_score * least
    return Severity.WARNING if warn else None


def _exact_start(values: Floats, rise: _Rise) -> int:
    """The first row of the rise that is nearer, as a ratio, to the level after than before."""
    over = np.flatnonzero(values[rise.start :] >= math.sqrt(rise.before * rise.after))
    return rise.start + int(over[0])


def _alert(
    history: History, points: Points, rise: _Rise, severity: Severity, policy: DivergencePolicy
) -> MonitorAlert:
    start = _exact_start(points.value, rise)
    rows = points.row[start:]
    first, last = int(rows[0]), int(rows[-1])
    level = median(points.value[start:])
    step = known_step(int(history.first_step[first]))
    since = "" if step is None else f" since step {step}"
    return MonitorAlert(
        severity=severity,
        code="divergence",
        message=f"the training loss left its level of {rise.before:.4g} and has stayed around "
        f"{level:.4g}{since}, never below {multiple(rise.ratio)} that level",
        first_step=step,
        last_step=known_step(int(history.last_step[last])),
        context={
            "level_before": rise.before,
            "level_after": level,
            "ratio": rise.ratio,
            "score": rise.score,
            "rows": int(rows.size),
        },
        series=alert_series(history, "loss", "grad_norm", "lr", first_row=first, last_row=last),
        source=policy.source,
    )
