"""Gradient norm outliers: isolated norms far outside the run's own history."""

from collections.abc import Iterator

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.excursions import (
    Excursion,
    ExcursionPolicy,
    find_excursions,
)
from gradience.core.monitoring.conditions.robust import Points, finite_points, median
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.monitoring.wording import multiple
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.history import History
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals


@attrs.frozen(kw_only=True)
class GradNormOutlierPolicy:
    """Thresholds of :func:`find_grad_norm_outlier`.

    Measured (benchmarks/condition_rates.py): on 9000 healthy synthetic runs, half of them seen
    before they were over, no warning and 7 infos per 1000. Of single norms raised to 10, 30 and
    100 times the level it finds 60, 93 and 99.8 % where the norms spread by 10 to 70 %.
    """

    excursion: ExcursionPolicy = ExcursionPolicy(
        min_ratio=5.0, min_score=5.0, min_before=8, min_rows=15, scale_floor=0.1
    )
    """Where an outlier begins: far beyond the spread of gradient norms on a log scale, which is
    wide (0.2 to 0.7 in public logs). No absolute band: rsLoRA and some models raise all norms
    (unslothai/unsloth#577)."""
    warning_ratio: float = 10.0
    """An outlier this high counts towards a warning (inferred)."""
    warning_count: int = 5
    """Outliers of that height that make a warning (inferred: one or two with a normal loss, as in
    unslothai/unsloth#5207 and huggingface/transformers#45676, are clipped and forgotten)."""
    isolated_share: float = 0.05
    """Outliers on more than this share of the rows are the run's own way, and an info, whatever
    the loss does beside some of them: with one example a step, each one that is labelled
    surprisingly has both (inferred)."""
    jump_rows: int = 3
    """Rows within which a loss jump counts as following (inferred)."""
    jump_ratio: float = 1.5
    """The loss after an outlier over the loss before it that make a jump; as in
    :class:`~gradience.core.monitoring.conditions.loss_spike.LossSpikePolicy`."""
    level_rows: int = 10
    """Rows before an outlier that give the level of the loss."""
    source: str = (
        "isolated norms of about 11,000 beside a normal loss: unslothai/unsloth#5207, "
        "huggingface/transformers#45676; judged against the run's own history "
        "(unslothai/unsloth#577)"
    )


def find_grad_norm_outlier(
    signals: RunSignals, policy: GradNormOutlierPolicy = GradNormOutlierPolicy()
) -> Iterator[MonitorAlert]:
    """Gradient norms far above their own level and spread, as one alert.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert. Norms of zero and norms that are not finite are left out; the latter
        have alerts of their own.
    """
    points = finite_points(signals.history.grad_norm)
    points = points.select(points.low > 0)
    outliers = find_excursions(points, policy.excursion)
    if outliers:
        yield _alert(signals, points, outliers, policy)


def _alert(
    signals: RunSignals,
    points: Points,
    outliers: tuple[Excursion, ...],
    policy: GradNormOutlierPolicy,
) -> MonitorAlert:
    history = signals.history
    jumps = 0
    if signals.objective.kind is not Objective.REINFORCEMENT:
        jumps = sum(_loss_jumps(history, int(points.row[o.peak]), policy) for o in outliers)
    worst = max(outliers, key=lambda outlier: outlier.ratio)
    row = int(points.row[worst.peak])
    step = known_step(int(history.grad_norm.high_step[row]))
    at = "" if step is None else f" at step {step}"
    first, last = int(points.row[outliers[0].start]), int(points.row[outliers[-1].stop - 1])
    loss = (
        f"the loss jumped with {jumps} of them"
        if jumps
        else "the loss did not follow, so clipping (max_grad_norm) bore it"
    )
    return MonitorAlert(
        severity=_severity(signals, points, outliers, jumps, policy),
        code="grad_norm_outlier",
        message=f"{counted(len(outliers), 'gradient norm')} far outside the run's own, the "
        f"largest {worst.height:.4g}{at}, {multiple(worst.ratio)} its level of {worst.level:.3g}; "
        f"{loss}",
        first_step=known_step(int(history.first_step[first])),
        last_step=known_step(int(history.last_step[last])),
        context={
            "count": len(outliers),
            "followed_by_loss_jump": jumps,
            "peak": worst.height,
            "peak_step": step,
            "level": worst.level,
            "ratio": worst.ratio,
            "score": worst.score,
        },
        series=alert_series(history, "grad_norm", "loss", first_row=row, last_row=row),
        source=policy.source,
    )


def _severity(
    signals: RunSignals,
    points: Points,
    outliers: tuple[Excursion, ...],
    jumps: int,
    policy: GradNormOutlierPolicy,
) -> Severity:
    if signals.objective.kind is Objective.REINFORCEMENT:
        # Norms there follow the advantages, which are zero for whole groups.
        return Severity.INFO
    rows = sum(outlier.stop - outlier.start for outlier in outliers)
    isolated = rows <= max(policy.isolated_share * points.n, policy.excursion.longest)
    tall = sum(outlier.ratio >= policy.warning_ratio for outlier in outliers)
    much = tall >= policy.warning_count or (jumps and tall)
    return Severity.WARNING if isolated and much else Severity.INFO


def _loss_jumps(history: History, row: int, policy: GradNormOutlierPolicy) -> bool:
    """Whether the loss jumps at the row of an outlier or right after, beyond what it did before."""
    loss = history.loss
    before = loss.high[max(0, row - policy.level_rows) : row]
    after = loss.high[row : row + 1 + policy.jump_rows]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if before.size < policy.level_rows // 2 or not after.size or before.min() <= 0:
        return False
    return bool(after.max() >= policy.jump_ratio * max(median(before), float(before.max())))
