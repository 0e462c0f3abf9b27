"""Unstable evaluation: the evaluation loss swings up and down without trend."""

from collections.abc import Iterator
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.eval_series import eval_series, split_name
from gradience.core.monitoring.conditions.robust import median
from gradience.core.monitoring.evaluation_points import EvalPoints, eval_points, held_out
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.severity import Severity
from gradience.core.signals.batch import Floats
from gradience.core.signals.loss import known_step
from gradience.core.signals.objective import Objective
from gradience.core.signals.pipeline import RunSignals

SOURCE = "inferred: no published threshold is known"


@attrs.frozen(kw_only=True)
class UnstableEvalPolicy:
    """From where on an evaluation loss swings (all edges inferred)."""

    swing: float = 0.25
    """Share of the median evaluation loss that counts as a swing: one published LoRA run of
    alpha 96 at rank 4 swings by 30 to 75 %, healthy ones by 1 to 10 %."""
    least_swing: float = 0.02
    """Nats; less matters to no one, whatever its share of a loss near zero."""
    swings: int = 4
    """Such swings, each against the one before: warning; ``few_swings``: info."""
    slight_swing: float = 0.15
    """The same share: info."""
    few_swings: int = 3
    least_evaluations: int = 5
    """After the first descent."""
    trend: float = 0.5
    """Kendall's tau of the evaluations from which on they have a trend: then they rise or fall,
    with noise, and do not just swing."""
    gap: GapPolicy = GapPolicy()
    """Names of the held-out splits."""


class Swings(NamedTuple):
    """The swings of a split's evaluation loss."""

    points: EvalPoints
    turns: tuple[int, ...]
    """The evaluations at which it turned, the ends of the swings."""
    middle: float
    largest: float
    """Nats."""
    many: bool
    """Whether the swings are large and many."""


def find_unstable_eval(
    signals: RunSignals, policy: UnstableEvalPolicy = UnstableEvalPolicy()
) -> Iterator[MonitorAlert]:
    """Evaluation losses that swing without trend.

    Args:
        signals: What the analyzers found.
        policy: The thresholds.

    Yields:
        At most one alert, ``unstable_eval``, naming every held-out split concerned: a warning
        for many swings of the split that is the held-out one by name or the only one, an info
        for few, for one of several sets, and for preference learning. Nothing for reinforcement
        learning or few evaluations.
    """
    if signals.objective.kind is Objective.REINFORCEMENT:
        return
    found = held_out(signals.eval_histories, policy.gap)
    points = [eval_points(history) for history in found.splits]
    swinging = [s for item in points if item and (s := swings_of(item, policy)) is not None]
    if not swinging:
        return
    swinging.sort(key=lambda item: (item.points.split != found.main, -len(item.turns)))
    first = swinging[0]
    told = found.is_named and first.points.split == found.main
    sure = told and first.many and signals.objective.kind is Objective.SUPERVISED
    yield _alert(swinging, sure=sure)


def swings_of(points: EvalPoints, policy: UnstableEvalPolicy) -> Swings | None:
    """The swings of a split's evaluation loss; None where they are few, small or have a trend."""
    middle = median(points.loss)
    settled = int(np.argmax(points.loss <= middle))
    loss = points.loss[settled:]
    if loss.size < policy.least_evaluations or middle <= 0:
        return None
    large = turning_points(loss, max(policy.swing * middle, policy.least_swing))
    many = len(large) > policy.swings
    slight = max(policy.slight_swing * middle, policy.least_swing)
    turns = large if many else turning_points(loss, slight)
    if len(turns) <= policy.few_swings or abs(_kendall_tau(loss)) >= policy.trend:
        return None
    largest = float(np.abs(np.diff(loss[list(turns)])).max())
    return Swings(points, tuple(settled + turn for turn in turns), middle, largest, many)


def turning_points(values: Floats, least: float) -> tuple[int, ...]:
    """The ends of the swings of at least ``least`` in a series, in order.

    Args:
        values: Shape (n,), finite.
        least: Smaller moves, and what they do to the direction, are ignored.

    Returns:
        Indices of alternating lows and highs; neighbours differ by ``least`` or more. One entry
        (or none, for no values) where nothing swings.
    """
    if not values.size:
        return ()
    turns = [0]
    direction = 0
    low = high = 0
    for at, value in enumerate(values.tolist()):
        low = at if value < values[low] else low
        high = at if value > values[high] else high
        if direction >= 0 and values[high] - value >= least:
            turns = [*turns[: -1 if direction == 0 else None], high]
            direction, low = -1, at
            high = at
        elif direction <= 0 and value - values[low] >= least:
            turns = [*turns[: -1 if direction == 0 else None], low]
            direction, high = 1, at
            low = at
    end = low if direction < 0 else high
    return (*turns, end) if direction else tuple(turns)


def _kendall_tau(values: Floats) -> float:
    """Kendall's tau-a of the values against their order; -1 falling, 1 rising."""
    signs = np.sign(values[np.newaxis, :] - values[:, np.newaxis])
    pairs = values.size * (values.size - 1) / 2
    return float(np.triu(signs, 1).sum() / pairs)


def _alert(swinging: list[Swings], *, sure: bool) -> MonitorAlert:
    first = swinging[0]
    points, turns = first.points, first.turns
    others = [item.points.split for item in swinging[1:]]
    more = f"; so does that on {', '.join(others)}" if others else ""
    low, high = float(points.loss[list(turns)].min()), float(points.loss[list(turns)].max())
    message = (
        f"{split_name(points.split)} swings {len(turns) - 1} times between {low:.4g} and "
        f"{high:.4g}, by up to {100 * first.largest / first.middle:.0f} % of its median "
        f"{first.middle:.4g}, without trend{more}"
    )
    return MonitorAlert(
        severity=Severity.WARNING if sure else Severity.INFO,
        code="unstable_eval",
        message=message,
        first_step=known_step(int(points.step[turns[0]])),
        last_step=known_step(int(points.step[turns[-1]])),
        context={
            "split": points.split,
            "splits": [item.points.split for item in swinging],
            "swings": len(turns) - 1,
            "largest_swing": first.largest,
            "median": first.middle,
            "evaluations": int(points.loss.size),
        },
        series=eval_series([item.points for item in swinging]),
        source=SOURCE,
    )
