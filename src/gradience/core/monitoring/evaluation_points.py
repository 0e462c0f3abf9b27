"""The evaluations of a split as points, and which of a run's splits are held out."""

from collections.abc import Iterable
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.monitoring.gap import TRAIN_SPLIT, GapPolicy
from gradience.core.signals.batch import NO_STEP, Floats, Ints
from gradience.core.signals.buckets import Buckets
from gradience.core.signals.eval_history import EvalHistory


@attrs.frozen(eq=False)
class EvalPoints:
    """The finite evaluation losses of a split in the order of the record; shape (n,) each.

    Of several evaluations in a row at one step the last counts.
    """

    split: str
    step: Ints
    """NO_STEP where unknown."""
    epoch: Floats
    loss: Floats
    train: Floats
    """The smoothed training loss at the time, NaN where none was logged before."""
    best: int
    """Index of the smallest loss, the first one of several."""


def eval_points(history: EvalHistory) -> EvalPoints | None:
    """The points of a split; None where no finite loss was logged."""
    keep = np.isfinite(history.loss.value)
    step = history.last_step[keep]
    if not step.size:
        return None
    last = np.append((np.diff(step) != 0) | (step[1:] == NO_STEP), True)
    loss = history.loss.value[keep][last]
    return EvalPoints(
        split=history.split,
        step=step[last],
        epoch=history.epoch[keep][last],
        loss=loss,
        train=history.train_loss[keep][last],
        best=int(np.argmin(loss)),
    )


class HeldOut(NamedTuple):
    """The held-out evaluations of a run."""

    splits: tuple[EvalHistory, ...]
    """Every split but the training one, in order of first appearance."""
    main: str | None
    """The split that stands for held-out data; None where there is none."""
    is_named: bool
    """Whether it has a held-out split's name or is the only one: else it is one of several sets
    of which the record does not say what they are to the training data."""


def held_out(histories: Iterable[EvalHistory], policy: GapPolicy) -> HeldOut:
    """Which evaluations are of held-out data.

    Args:
        histories: Of every split.
        policy: The names that held-out splits have.
    """
    splits = tuple(history for history in histories if history.split != TRAIN_SPLIT)
    names = [history.split for history in splits]
    named = next((name for name in policy.held_out_splits if name in names), None)
    if named is not None:
        return HeldOut(splits, named, is_named=True)
    newest = max(reversed(splits), key=_last_step, default=None)
    return HeldOut(splits, newest.split if newest else None, is_named=len(splits) == 1)


def _last_step(history: Buckets) -> int:
    return int(history.last_step.max(initial=NO_STEP))
