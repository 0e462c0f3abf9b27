"""The evaluations of a run, each split's in a row, with the training loss beside them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.numbers import real_number
from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import NO_STEP, Batch, Floats
from gradience.core.signals.buckets import (
    Buckets,
    ColumnHistory,
    appended,
    empty_buckets,
    rows_of,
)
from gradience.core.signals.loss import recent_values, smoothed
from gradience.core.telemetry.events import Eval

MAX_BUCKETS = 1024
"""Evaluations of a split kept one by one; of more, pairs are merged."""

MAX_SPLITS = 64
"""Splits that are followed; a run that names more has put something else into the split."""


@attrs.frozen(eq=False)
class EvalHistory(Buckets):
    """The evaluations of one split, in the order of the record."""

    split: str = ""

    @property
    def loss(self) -> ColumnHistory:
        """The evaluation's loss."""
        return self.columns["loss"]

    @property
    def accuracy(self) -> ColumnHistory:
        """Its accuracy, a fraction."""
        return self.columns["accuracy"]

    @property
    def train_loss(self) -> Floats:
        """The smoothed training loss at the time of each, NaN where none was logged before."""
        return self.columns["train_loss"].value


@attrs.frozen
class EvalHistoryState:
    """The evaluations so far, and the training losses that the next one is seen beside."""

    splits: Mapping[str, Buckets] = attrs.field(factory=dict)
    recent: tuple[float, ...] = ()


def eval_histories() -> Analyzer[EvalHistoryState, tuple[EvalHistory, ...]]:
    """The analyzer that keeps every split's evaluations, in bounded memory."""
    return Analyzer(EvalHistoryState, _update, _result)


def _update(state: EvalHistoryState, batch: Batch) -> EvalHistoryState:
    mask = batch.loss.finite()
    losses, positions = batch.loss.values, batch.position
    if not mask.all():
        losses, positions = losses[mask], positions[mask]
    rows: dict[str, list[_Row]] = {}
    for position, event in batch.others:
        if not isinstance(event, Eval):
            continue
        if event.split in state.splits or len(state.splits.keys() | rows.keys()) < MAX_SPLITS:
            before = int(np.searchsorted(positions, position))
            beside = smoothed(recent_values(state.recent, losses[:before]))
            rows.setdefault(event.split, []).append(_row(event, beside))
    splits = dict(state.splits)
    for split, new in rows.items():
        known = splits.get(split) or empty_buckets(*_COLUMNS)
        splits[split] = appended(known, _buckets(new), MAX_BUCKETS)
    return EvalHistoryState(splits, recent_values(state.recent, losses))


class _Row(NamedTuple):
    """One evaluation; NaN for what it does not say."""

    step: int
    ts: float
    epoch: float
    loss: float
    accuracy: float
    train_loss: float


_COLUMNS = ("loss", "accuracy", "train_loss")


def _row(event: Eval, train_loss: float | None) -> _Row:
    metrics = event.metrics
    return _Row(
        step=NO_STEP if event.step is None else event.step,
        ts=event.ts,
        epoch=_known(metrics.get("epoch", event.extras.get("epoch"))),
        loss=_known(metrics.get("loss")),
        accuracy=_known(metrics.get("accuracy")),
        train_loss=_known(train_loss),
    )


def _known(value: object) -> float:
    number = real_number(value)
    return math.nan if number is None else number


def _buckets(rows: list[_Row]) -> Buckets:
    step, *floats = zip(*rows, strict=True)
    ts, epoch, *columns = (np.array(values, dtype=np.float64) for values in floats)
    values = dict(zip(_COLUMNS, columns, strict=True))
    return rows_of(np.array(step, dtype=np.int64), ts, epoch, values)


def _result(state: EvalHistoryState) -> tuple[EvalHistory, ...]:
    return tuple(
        EvalHistory(
            split=split,
            **{field.name: getattr(kept, field.name) for field in attrs.fields(Buckets)},
        )
        for split, kept in state.splits.items()
    )
