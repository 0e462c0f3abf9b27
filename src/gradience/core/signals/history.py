"""The training steps of a run, whole as long as they are few and in buckets beyond that."""

from typing import NamedTuple

import attrs
import numpy as np

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch, Floats, Ints
from gradience.core.signals.buckets import (
    Buckets,
    ColumnHistory,
    appended,
    empty_buckets,
    rows_of,
)

MAX_BUCKETS = 4096
"""Logged steps kept one by one; a longer run's are merged in pairs, fours …: more points than any
screen has, and a few hundred kilobytes."""

MAX_WAITING_ROWS = 4 * MAX_BUCKETS
"""Rows that wait at most before they are put into buckets, a thing that costs as much for few as
for many."""

MAX_WAITING = 64
"""Batches that they may come in."""

COLUMNS = ("loss", "lr", "grad_norm")


@attrs.frozen(eq=False)
class History(Buckets):
    """The logged training steps, in the order of the record."""

    @property
    def loss(self) -> ColumnHistory:
        """The training loss."""
        return self.columns["loss"]

    @property
    def lr(self) -> ColumnHistory:
        """The learning rate, the largest over the parameter groups."""
        return self.columns["lr"]

    @property
    def grad_norm(self) -> ColumnHistory:
        """The gradient norm as it was logged."""
        return self.columns["grad_norm"]


class _Rows(NamedTuple):
    """Logged steps that wait to be put into buckets; arrays of shape (n,)."""

    step: Ints
    ts: Floats
    epoch: Floats
    loss: Floats
    lr: Floats
    grad_norm: Floats


@attrs.frozen(eq=False)
class HistoryState:
    """The buckets so far, and the rows of late: many are merged at the price of a few."""

    buckets: Buckets = attrs.field(factory=lambda: empty_buckets(*COLUMNS))
    waiting: tuple[_Rows, ...] = ()
    n_waiting: int = 0


def training_history() -> Analyzer[HistoryState, History]:
    """The analyzer that keeps the training steps, in bounded memory."""
    return Analyzer(HistoryState, _update, _result)


def _update(state: HistoryState, batch: Batch) -> HistoryState:
    if not batch.step.size:
        return state
    new = _Rows(
        batch.step,
        batch.ts,
        batch.epoch.values,
        batch.loss.values,
        batch.lr.values,
        batch.grad_norm.values,
    )
    waiting, n_waiting = (*state.waiting, new), state.n_waiting + batch.step.size
    if n_waiting < MAX_WAITING_ROWS and len(waiting) < MAX_WAITING:
        return HistoryState(state.buckets, waiting, n_waiting)
    return HistoryState(_with_rows(state.buckets, waiting))


def _with_rows(buckets: Buckets, waiting: tuple[_Rows, ...]) -> Buckets:
    if not waiting:
        return buckets
    step = np.concatenate([rows.step for rows in waiting])
    ts, epoch, *values = (
        np.concatenate(parts) for parts in zip(*(r[1:] for r in waiting), strict=True)
    )
    rows = rows_of(step, ts, epoch, dict(zip(COLUMNS, values, strict=True)))
    return appended(buckets, rows, MAX_BUCKETS)


def _result(state: HistoryState) -> History:
    kept = _with_rows(state.buckets, state.waiting)
    return History(**{field.name: getattr(kept, field.name) for field in attrs.fields(Buckets)})
