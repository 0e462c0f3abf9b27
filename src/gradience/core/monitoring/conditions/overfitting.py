"""Overfitting: the evaluation loss rises from its best while the training loss goes on falling."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.eval_series import eval_series, split_name
from gradience.core.monitoring.conditions.robust import MAD_TO_SIGMA, median
from gradience.core.monitoring.conditions.unstable_eval import UnstableEvalPolicy, swings_of
from gradience.core.monitoring.evaluation_points import EvalPoints, eval_points, held_out
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.batch import Floats
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals

SOURCE = (
    "Unsloth's guide to LoRA hyper-parameters: overfitting shows as the evaluation loss rising "
    "while the training loss falls; no published threshold is known, the edges are inferred"
)


@attrs.frozen(kw_only=True)
class OverfittingPolicy:
    """From where on an evaluation loss has risen clearly and lastingly (all edges inferred)."""

    rise: float = 0.1
    """Share by which the level of the last evaluations stands above that about the best one:
    warning. Two published runs that overfit stand 15 % and 21 % above, healthy ones up to 2 %."""
    slight_rise: float = 0.05
    """Of the best itself: info."""
    least_rise: float = 0.02
    """Nats; less is nothing to act on, whatever its share of a loss near zero: an info where
    that is ``tiny_rise`` and more."""
    tiny_rise: float = 0.15
    least_after: int = 2
    """Evaluations after the best one, for a warning; a single one is worth an info."""
    level_of: int = 3
    """Of the last so many evaluations the median is the level: one bad evaluation is none."""
    noise: float = 2.0
    """Standard deviations of the evaluations' noise that the rise from the best must exceed:
    info. The best of many evaluations is partly luck."""
    noise_about: float = 1.3
    """The same of the rise from the level about the best: warning."""
    shifted: float = 2.0
    """Where all evaluations from one step up on lie above all before it, their noise is at most so
    many times that about the two levels: among few evaluations the step itself would count as
    noise. The factor is for a step chosen because it is the largest (inferred)."""
    lasting: float = 0.4
    """Share of the rise below which none of the evaluations that make the level lies; a rise in
    a straight line has them at half of it and above. Nor does any of the later half of those
    after the best …"""
    plain: float = 4.0
    """… unless the rise from the level about the best is so many standard deviations of the
    noise: then it may have begun of late. A loss that only rises after its best, and does so
    faster and faster, lasts too: info after two evaluations, warning after ``level_of``."""
    train_rise: float = 0.02
    """Share by which the smoothed training loss may have risen since the best evaluation, its
    noise: where it rose further, training itself went wrong."""
    train_far_below: float = 0.5
    """Share of the evaluation loss below which the training loss has nothing left to fall."""
    gap: GapPolicy = GapPolicy()
    """Names of the held-out splits."""
    unstable: UnstableEvalPolicy = UnstableEvalPolicy()
    """An evaluation loss that swings widely without trend is told as that: info here."""


class Rise(NamedTuple):
    """How far a split's evaluation loss stands above its best."""

    points: EvalPoints
    level: float
    """Median of the last evaluations."""
    nats: float
    share: float
    about: float
    """The lowest level of neighbouring evaluations: the best without its luck."""
    noise: float
    """Standard deviation of the evaluations about their trend."""
    lasting: bool
    """Whether it has lasted, rather than just been seen to grow."""
    train_then: float
    train_now: float


def find_overfitting(
    signals: RunSignals, policy: OverfittingPolicy = OverfittingPolicy()
) -> Iterator[MonitorAlert]:
    """Evaluation losses that rise clearly and lastingly while training goes on.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert, ``overfitting``, naming every held-out split concerned. A warning where
        the split is the held-out one by name or the only one; an info where the rise is slight
        or shows in one evaluation alone, where no training loss tells what training did, where
        there are several sets and none is named as the held-out part of the training data, and
        for preference learning, whose loss is no cross-entropy. Nothing for reinforcement
        learning, or where the training loss rose too: that is no overfitting.
    """
    if signals.objective.kind is Objective.REINFORCEMENT:
        return
    found = held_out(signals.eval_histories, policy.gap)
    points = [eval_points(history) for history in found.splits]
    rises = [rise for item in points if item and (rise := _rise(item, policy)) is not None]
    if not rises:
        return
    rises.sort(key=lambda rise: (rise.points.split != found.main, -rise.share))
    supervised = signals.objective.kind is Objective.SUPERVISED
    main = rises[0] if rises[0].points.split == found.main and found.is_named else None
    sure = supervised and main is not None and _is_sure(main, policy)
    yield _alert(rises[0], rises, sure=sure, named=found.is_named)


def _is_sure(rise: Rise, policy: OverfittingPolicy) -> bool:
    after = rise.points.loss.size - 1 - rise.points.best
    known = bool(np.isfinite(rise.train_now))
    nats = rise.level - rise.about
    much = nats >= max(policy.rise * rise.about, policy.noise_about * rise.noise)
    much &= rise.nats >= policy.least_rise
    swings = swings_of(rise.points, policy.unstable)
    swinging = swings is not None and swings.many
    told = after >= (policy.least_after if rise.lasting else policy.level_of)
    return known and much and told and not swinging


def _rise(points: EvalPoints, policy: OverfittingPolicy) -> Rise | None:
    """The rise where it is clear and lasting and training went on; None where it is not."""
    after = points.loss[points.best + 1 :]
    best = float(points.loss[points.best])
    if not after.size or best <= 0:
        return None
    level = median(after[-policy.level_of :])
    nats = level - best
    share = nats / best
    clear = share >= policy.slight_rise and nats >= policy.least_rise
    # The descent to the level is steep and bent, and tells nothing about noise.
    noise = _noise(points.loss[int(np.argmax(points.loss <= level)) :])
    noise = min(noise, policy.shifted * _noise_about_a_step(points, policy))
    if not (clear or share >= policy.tiny_rise) or nats < policy.noise * noise:
        return None
    about = _about_best(points.loss)
    since = after.size if level - about < policy.plain * noise else 0
    last = after[-max(policy.level_of, (since + 1) // 2) :]
    lasting = bool(last.min() >= best + policy.lasting * nats)
    if not lasting and (after.size < policy.least_after or (np.diff(after) < 0).any()):
        return None
    then, now = float(points.train[points.best]), float(points.train[-1])
    holds = np.isfinite(then) and now <= (1 + policy.train_rise) * then
    if np.isfinite(now) and not holds and now > policy.train_far_below * level:
        return None
    return Rise(points, level, nats, share, about, noise, lasting, then, now)


def _about_best(loss: Floats) -> float:
    """The smallest median of three neighbours (at the ends, mean of two)."""
    ends = (loss[0] + loss[1]) / 2, (loss[-2] + loss[-1]) / 2
    inner = [median(loss[at - 1 : at + 2]) for at in range(1, loss.size - 1)]
    return float(min(*ends, *inner))


def _noise(loss: Floats) -> float:
    """Standard deviation of the evaluations about their trend, from their second differences.

    The median of |second differences| times 1.4826 / √6, which is 1 for independent noise of
    standard deviation 1; 0 for fewer than four evaluations.
    """
    bends = np.abs(np.diff(loss, n=2))
    return MAD_TO_SIGMA * median(bends) / SECOND_DIFFERENCE if bends.size > 1 else 0.0


def _noise_about_a_step(points: EvalPoints, policy: OverfittingPolicy) -> float:
    """Standard deviation of the evaluations about the levels before and after their largest step.

    Infinite where no step parts them: fewer than ``level_of`` lie after it, or one of those is as
    low as one between the best and the step.
    """
    steps = np.diff(points.loss[points.best :])
    largest = points.best + 1 + int(np.argmax(steps))
    before, after = points.loss[points.best : largest], points.loss[largest:]
    if after.size < policy.level_of or after.min() <= before.max():
        return math.inf
    squares = before.size * float(before.var()) + after.size * float(after.var())
    return math.sqrt(squares / (before.size + after.size - 2))


SECOND_DIFFERENCE = 6**0.5
"""Standard deviation of a - 2b + c of three independent ones of standard deviation 1."""


def _alert(rise: Rise, rises: list[Rise], *, sure: bool, named: bool) -> MonitorAlert:
    points = rise.points
    step = known_step(int(points.step[points.best]))
    after = points.loss.size - 1 - points.best
    what = split_name(points.split)
    where = "" if step is None else f" at step {step}"
    others = [other.points.split for other in rises if other is not rise]
    more = f"; so do {', '.join(others)}" if others else ""
    doubt = "" if named else " (of several evaluation sets none is named as the held-out one)"
    message = (
        f"{what} was best{where} ({points.loss[points.best]:.4g}) and stands "
        f"{100 * rise.share:.0f} % above it ({rise.level:.4g}), "
        f"{counted(after, 'evaluation')} later{doubt}, "
        f"while the training loss {_training(rise)}{more}"
    )
    return MonitorAlert(
        severity=Severity.WARNING if sure else Severity.INFO,
        code="overfitting",
        message=message,
        first_step=step,
        last_step=known_step(int(points.step[-1])),
        context={
            "split": points.split,
            "splits": [other.points.split for other in rises],
            "best_step": step,
            "best_loss": float(points.loss[points.best]),
            "level": rise.level,
            "rise": rise.nats,
            "rise_share": rise.share,
            "evaluations_since": after,
            "train_loss_then": rise.train_then if np.isfinite(rise.train_then) else None,
            "train_loss_now": rise.train_now if np.isfinite(rise.train_now) else None,
        },
        series=eval_series([other.points for other in rises]),
        source=SOURCE,
    )


def _training(rise: Rise) -> str:
    if np.isfinite(rise.train_then) and rise.train_now < rise.train_then:
        return f"fell from {rise.train_then:.4g} to {rise.train_now:.4g}"
    return f"stands at {rise.train_now:.4g}" if np.isfinite(rise.train_now) else "was not logged"
