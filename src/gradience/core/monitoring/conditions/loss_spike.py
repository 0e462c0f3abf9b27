"""Loss spikes: isolated jumps of the training loss that come back."""

import math
from collections.abc import Iterator

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.excursions import (
    Excursion,
    ExcursionPolicy,
    find_excursions,
)
from gradience.core.monitoring.conditions.restarts import follows, restarted_rows
from gradience.core.monitoring.conditions.robust import Points, finite_points, median
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.monitoring.wording import multiple
from gradience.core.severity import Severity
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class LossSpikePolicy:
    """Thresholds of :func:`find_loss_spike`.

    Measured (benchmarks/condition_rates.py): on 9000 healthy synthetic runs, half of them seen
    before they were over, 0.1 warnings and 9 infos per 1000. Of single losses raised to 2, 3, 5
    and 10 times the level, with row-to-row noise of up to 15 %, it finds 83, 97, 99 and 100 %;
    over all noises (to 70 %) 51, 66, 76 and 89 %.
    """

    excursion: ExcursionPolicy = ExcursionPolicy(min_ratio=1.5, min_score=5.0)
    """Where a jump begins. Published ratios run from 2 (Lightning's rtol over 10 steps, Axolotl's
    stability guide: 2 to 10) to 3 (paiml/entrenar#127); a calm series shows smaller ones, which
    are worth an info."""
    slow_excursions: tuple[ExcursionPolicy, ...] = (
        ExcursionPolicy(
            min_ratio=1.5,
            min_score=5.0,
            min_rows=200,
            min_before=20,
            longest=30,
            longest_share=0.0,
            window=101,
            scale_window=301,
            reference_rows=25,
        ),
        ExcursionPolicy(
            min_ratio=1.5,
            min_score=5.0,
            min_rows=800,
            min_before=80,
            longest=120,
            longest_share=0.0,
            window=401,
            scale_window=801,
            reference_rows=100,
        ),
    )
    """The same for jumps that take tens or a hundred rows to come back."""
    slight_excursion: ExcursionPolicy = ExcursionPolicy(min_ratio=1.25, min_score=8.0)
    """Where no jump is as high as that, ``slight_count`` smaller ones that stand out further are
    an info: a logged loss is the mean over ``logging_steps``, which thins out what one step did
    (inferred)."""
    slight_count: int = 3
    slight_excess: float = 0.25
    """Least height of these above the level, as a share of the run's mean loss."""
    longest_open: int = 3
    """Rows of a jump at the record's end that may yet come back; a longer one is divergence's
    matter."""
    small_ratio: float = 2.0
    """A jump below this …"""
    small_score: float = 7.0
    """… must stand out this far: heavy tails reach such heights now and then (inferred)."""
    min_excess: float = 0.5
    """Least height above the level, as a share of the run's mean loss: beside a loss of 1 at the
    start, 0.001 after 0.0001 is no spike (inferred)."""
    warning_ratio: float = 3.0
    """A jump this high is a warning where it repeats (paiml/entrenar#127 rolls back at 3 × the
    moving average)."""
    warning_count: int = 2
    """Jumps of that height that make a repetition."""
    lone_warning_ratio: float = 5.0
    """A single jump this high is a warning by itself (upper half of Axolotl's 2 to 10)."""
    lone_warning_rows: int = 10
    """A single jump of that height is one, too, where it lasts for more rows than this
    (inferred)."""
    warning_excess: float = 1.0
    """Least height above the level, in mean losses, of a warning (inferred)."""
    warning_score: float = 7.0
    """Least score of a warning (inferred)."""
    isolated_share: float = 0.05
    """Excursions that take more than this share of the rows are how the run's batches differ, and
    never more than an info (inferred)."""
    isolated_rows: int = 2
    """The same in rows, where that is more."""
    few_rows: int = 6
    """In a record of fewer rows than have a level of their own, but of this many, …"""
    few_first: int = 3
    """… one after the first so many and before the last …"""
    few_ratio: float = 2.5
    """… that is this many times any other is a jump: info (inferred)."""
    after_restart: int = 5
    """Rows after a restart whose jumps belong to it (inferred)."""
    source: str = (
        "2 to 10 times (Axolotl's stability guide), 2 over 10 steps (PyTorch Lightning), 3 times "
        "the moving average (paiml/entrenar#127); noise measured on the run itself"
    )


def find_loss_spike(
    signals: RunSignals, policy: LossSpikePolicy = LossSpikePolicy()
) -> Iterator[MonitorAlert]:
    """Jumps of the training loss above its own level and noise, as one alert.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert. Silent on reinforcement learning, on losses below zero, on few rows,
        in the first rows, and right after a restart.
    """
    points = finite_points(signals.history.loss)
    if signals.objective.kind is Objective.REINFORCEMENT or not points.n or points.low.min() < 0:
        return
    few = points.n < policy.excursion.min_rows
    jumps = _lone_jump(points, policy) if few else _excursions(points, policy)
    spikes = _standing_out(signals.history, points, jumps, policy.min_excess, policy)
    if not spikes and not few:
        jumps = find_excursions(points, policy.slight_excursion)
        spikes = _standing_out(signals.history, points, jumps, policy.slight_excess, policy)
        spikes = spikes if len(spikes) >= policy.slight_count else ()
    if spikes:
        mean = _mean_without(points, jumps)
        yield _alert(signals.history, points, spikes, mean, policy)


def _standing_out(
    history: History,
    points: Points,
    jumps: tuple[Excursion, ...],
    excess: float,
    policy: LossSpikePolicy,
) -> tuple[Excursion, ...]:
    """The jumps that are high beside the run's mean loss, and no part of a restart."""
    if not jumps:
        return ()
    least = excess * _mean_without(points, jumps)
    restarts = restarted_rows(history)
    return tuple(
        jump
        for jump in jumps
        if jump.height - jump.level >= least
        and not follows(restarts, int(points.row[jump.start]), policy.after_restart)
    )


def _excursions(points: Points, policy: LossSpikePolicy) -> tuple[Excursion, ...]:
    """The short jumps, and the slower ones that hold none of them."""
    found: list[Excursion] = []
    for excursion in (policy.excursion, *policy.slow_excursions):
        found += [
            spike
            for spike in find_excursions(points, excursion)
            if (spike.ratio >= policy.small_ratio or spike.score >= policy.small_score)
            and (spike.stop < points.n or spike.stop - spike.start <= policy.longest_open)
            and not any(spike.start < one.stop and one.start < spike.stop for one in found)
        ]
    return tuple(sorted(found))


def _lone_jump(points: Points, policy: LossSpikePolicy) -> tuple[Excursion, ...]:
    """The one row of a short record that stands far above all others."""
    at = int(np.argmax(points.high))
    height, others = float(points.high[at]), np.delete(points.high, at)
    enough = points.n >= policy.few_rows and policy.few_first <= at < points.n - 1
    if not enough or height < policy.few_ratio * others.max() or others.max() <= 0:
        return ()
    before, after = median(points.value[:at]), median(points.value[at + 1 :])
    score = math.log(height / others.max()) / policy.excursion.scale_floor
    return (Excursion(at, at + 1, at, height, before, after, score),)


def _mean_without(points: Points, spikes: tuple[Excursion, ...]) -> float:
    """The mean loss of the rows that are in no spike."""
    calm = np.ones(points.n, dtype=np.bool_)
    for spike in spikes:
        calm[spike.start : spike.stop] = False
    return float(points.value[calm].mean())


def _severity(
    points: Points, spikes: tuple[Excursion, ...], mean: float, policy: LossSpikePolicy
) -> Severity:
    if points.n < policy.excursion.min_rows:
        return Severity.INFO
    rows = sum(spike.stop - spike.start for spike in spikes)
    if len(spikes) > 1 and rows > max(policy.isolated_share * points.n, policy.isolated_rows):
        return Severity.INFO
    tall = [
        spike
        for spike in spikes
        if spike.ratio >= policy.warning_ratio
        and spike.score >= policy.warning_score
        and spike.height - spike.level >= policy.warning_excess * mean
    ]
    highest = max((spike.ratio for spike in tall), default=0.0)
    repeated = len(tall) >= policy.warning_count
    slow = any(spike.stop - spike.start > policy.lone_warning_rows for spike in tall)
    warn = repeated or slow or highest >= policy.lone_warning_ratio
    return Severity.WARNING if warn else Severity.INFO


def _alert(
    history: History,
    points: Points,
    spikes: tuple[Excursion, ...],
    mean: float,
    policy: LossSpikePolicy,
) -> MonitorAlert:
    worst = max(spikes, key=lambda spike: spike.ratio)
    first, last = int(points.row[spikes[0].start]), int(points.row[spikes[-1].stop - 1])
    row = int(points.row[worst.peak])
    step = known_step(int(history.loss.high_step[row]))
    at = "" if step is None else f" at step {step}"
    back = (
        "and has not come back yet: it may be the start of a divergence"
        if spikes[-1].stop == points.n
        else "and came back: a bad batch, or a learning rate at the edge of what the run bears"
    )
    return MonitorAlert(
        severity=_severity(points, spikes, mean, policy),
        code="loss_spike",
        message=f"the training loss jumped {_times(len(spikes))} to "
        f"{worst.height:.4g}{at}, {multiple(worst.ratio)} its level of {worst.level:.4g}, {back}",
        first_step=known_step(int(history.first_step[first])),
        last_step=known_step(int(history.last_step[last])),
        context={
            "count": len(spikes),
            "rows": sum(spike.stop - spike.start for spike in spikes),
            "peak": worst.height,
            "peak_step": step,
            "level": worst.level,
            "ratio": worst.ratio,
            "score": worst.score,
        },
        series=alert_series(history, "loss", "grad_norm", first_row=row, last_row=row),
        source=policy.source,
    )


def _times(count: int) -> str:
    return "once," if count == 1 else f"{count} times, highest"
