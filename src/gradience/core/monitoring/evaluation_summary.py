"""What the evaluations of a run say in a few numbers, and which checkpoint to keep."""

from collections.abc import Iterable

import attrs
import msgspec
import numpy as np

from gradience.core.monitoring.evaluation_points import EvalPoints, eval_points, held_out
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.numbers import counted
from gradience.core.signals.buckets import ColumnHistory
from gradience.core.signals.eval_history import EvalHistory
from gradience.core.signals.loss import known_step


@attrs.frozen(kw_only=True)
class StopPolicy:
    """When an earlier checkpoint is worth going back to."""

    patience: int = 2
    """Evaluations without a new best (inferred: below the 3 that examples of the Trainer's
    ``EarlyStoppingCallback`` take; a hint costs less than a stop)."""
    rise: float = 0.02
    """The last evaluation stands above the best by this share of it (inferred: about the
    difference between two seeds)."""


class StopHere(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint to keep where training went on past it."""

    split: str
    step: int | None
    words: str


class EvaluationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The evaluations of one split; what was not logged is None.

    Losses are the finite ones; ``n`` counts every evaluation.
    """

    split: str
    n: int
    best_loss: float | None = None
    best_step: int | None = None
    best_epoch: float | None = None
    last_loss: float | None = None
    last_step: int | None = None
    last_is_best: bool | None = None
    since_best: int | None = None
    """Evaluations after the best one."""
    rise: float | None = None
    """Last minus best loss, nats."""
    rise_share: float | None = None
    """The same in shares of the best, None where that is not above zero."""
    best_accuracy: float | None = None
    best_accuracy_step: int | None = None
    stop_here: StopHere | None = None


class Evaluations(msgspec.Struct, frozen=True, kw_only=True):
    """The held-out evaluations of a run."""

    splits: tuple[EvaluationSummary, ...] = ()
    """In order of first appearance."""
    main: EvaluationSummary | None = None
    """Of the split that stands for held-out data."""


def summarise_evaluations(
    histories: Iterable[EvalHistory],
    policy: StopPolicy | None = None,
    gap_policy: GapPolicy | None = None,
) -> Evaluations:
    """Condenses the evaluations of every held-out split.

    Args:
        histories: Of every split, the training one (left out) among them.
        policy: When a checkpoint is worth going back to.
        gap_policy: The names that held-out splits have.

    Returns:
        The summaries; empty where nothing held out was evaluated.
    """
    found = held_out(histories, gap_policy or GapPolicy())
    splits = tuple(_summary(history, policy or StopPolicy()) for history in found.splits)
    main = next((item for item in splits if item.split == found.main), None)
    return Evaluations(splits=splits, main=main)


def _summary(history: EvalHistory, policy: StopPolicy) -> EvaluationSummary:
    accuracy, accuracy_step = _highest(history.accuracy)
    points = eval_points(history)
    if points is None:
        return EvaluationSummary(
            split=history.split,
            n=history.n_rows,
            best_accuracy=accuracy,
            best_accuracy_step=accuracy_step,
        )
    best, last = float(points.loss[points.best]), float(points.loss[-1])
    epoch = float(points.epoch[points.best])
    since = points.loss.size - 1 - points.best
    return EvaluationSummary(
        split=history.split,
        n=history.n_rows,
        best_loss=best,
        best_step=known_step(int(points.step[points.best])),
        best_epoch=epoch if np.isfinite(epoch) else None,
        last_loss=last,
        last_step=known_step(int(points.step[-1])),
        last_is_best=since == 0,
        since_best=since,
        rise=last - best,
        rise_share=(last - best) / best if best > 0 else None,
        best_accuracy=accuracy,
        best_accuracy_step=accuracy_step,
        stop_here=_stop_here(points, policy),
    )


def _highest(column: ColumnHistory) -> tuple[float | None, int | None]:
    known = np.flatnonzero(np.isfinite(column.high))
    if not known.size:
        return None, None
    top = known[np.argmax(column.high[known])]
    return float(column.high[top]), known_step(int(column.high_step[top]))


def _stop_here(points: EvalPoints, policy: StopPolicy) -> StopHere | None:
    best, last = float(points.loss[points.best]), float(points.loss[-1])
    since = points.loss.size - 1 - points.best
    if since < policy.patience or last - best < policy.rise * abs(best):
        return None
    step = known_step(int(points.step[points.best]))
    where = f"step {step}" if step is not None else f"evaluation {points.best + 1}"
    words = (
        f"keep the checkpoint of {where}: its {points.split} loss, {best:.4g}, is the best and "
        f"{counted(since, 'evaluation')} since then did not reach it (the last: {last:.4g})"
    )
    return StopHere(split=points.split, step=step, words=words)
