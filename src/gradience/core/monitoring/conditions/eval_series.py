"""Evaluations as points to plot, and how a message calls them."""

from collections.abc import Iterable

import numpy as np

from gradience.core.monitoring.alert import AlertSeries
from gradience.core.monitoring.evaluation_points import EvalPoints
from gradience.core.signals.batch import Floats, Ints
from gradience.core.signals.loss import known_step

MAX_SPLITS_SHOWN = 4
"""Splits whose points go with an alert; its context names them all."""

EVAL = "eval"
"""The split that an unnamed evaluation set is."""


def split_name(split: str) -> str:
    """How a message calls the loss of a split."""
    return "the evaluation loss" if split == EVAL else f"the loss on {split!r}"


def eval_series(splits: Iterable[EvalPoints]) -> tuple[AlertSeries, ...]:
    """The losses of the first few splits, and the training loss beside the first of them."""
    shown = list(splits)[:MAX_SPLITS_SHOWN]
    losses = [
        _series("eval_loss" if p.split == EVAL else f"eval_{p.split}_loss", p.step, p.loss)
        for p in shown
    ]
    beside = [_series("train_loss_smoothed", p.step, p.train) for p in shown[:1]]
    return (*losses, *beside)


def _series(name: str, step: Ints, value: Floats) -> AlertSeries:
    return AlertSeries(
        name=name,
        step=tuple(map(known_step, step.tolist())),
        value=tuple(v if np.isfinite(v) else None for v in value.tolist()),
    )
