"""The training steps of a run, whole as long as they are few and in buckets beyond that."""

import attrs

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch
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


def training_history() -> Analyzer[Buckets, History]:
    """The analyzer that keeps the training steps, in bounded memory."""
    return Analyzer(lambda: empty_buckets("loss", "lr", "grad_norm"), _update, _result)


def _update(state: Buckets, batch: Batch) -> Buckets:
    values = {
        "loss": batch.loss.values,
        "lr": batch.lr.values,
        "grad_norm": batch.grad_norm.values,
    }
    rows = rows_of(batch.step, batch.ts, batch.epoch.values, values)
    return appended(state, rows, MAX_BUCKETS)


def _result(state: Buckets) -> History:
    return History(**{field.name: getattr(state, field.name) for field in attrs.fields(Buckets)})
