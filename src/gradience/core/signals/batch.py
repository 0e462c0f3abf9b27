"""A batch: a run of events with the hot fields of the training steps as columns."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.telemetry.events import AnyEvent, RunStart, TrainStep

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

NO_STEP = -1
"""Stands in an integer column for a step that the record did not give."""


class PlacedEvent(NamedTuple):
    """An event that is no training step, and its position in the stream (from 0)."""

    position: int
    event: AnyEvent


class PlacedStep(NamedTuple):
    """A training step and its position in the stream."""

    position: int
    event: TrainStep


@attrs.frozen(eq=False)
class Column:
    """One hot field over the training steps of a batch.

    ``values`` is float64 of shape (n,), NaN where the field was not logged; ``logged`` tells a
    logged NaN from a missing value.
    """

    values: Floats
    logged: Mask

    def finite(self) -> Mask:
        """Mask of the values that are finite numbers."""
        mask: Mask = np.isfinite(self.values)
        return mask

    def nonfinite(self) -> Mask:
        """Mask of the values that were logged and are NaN or infinite."""
        mask: Mask = self.logged & ~np.isfinite(self.values)
        return mask


@attrs.frozen(eq=False)
class Batch:
    """Events ``start`` to ``stop - 1`` of a stream.

    Training steps are columns, row i of each being one step; ``position`` places the rows among
    the ``others`` (every event that is no training step). ``lr`` is the largest rate over the
    parameter groups. ``train_steps`` keeps the training steps whole, for analyzers of extras, and
    ``has_extras`` tells which of them have any.
    """

    start: int
    stop: int
    position: Ints
    step: Ints
    ts: Floats
    loss: Column
    lr: Column
    grad_norm: Column
    epoch: Column
    has_extras: Mask
    train_steps: tuple[TrainStep, ...]
    others: tuple[PlacedEvent, ...]

    def slice(self, start: int, stop: int) -> "Batch":
        """The part of this batch between two positions of the stream."""
        low, high = np.searchsorted(self.position, [start, stop])
        rows = slice(int(low), int(high))
        return Batch(
            start=max(start, self.start),
            stop=min(stop, self.stop),
            position=self.position[rows],
            step=self.step[rows],
            ts=self.ts[rows],
            loss=_rows(self.loss, rows),
            lr=_rows(self.lr, rows),
            grad_norm=_rows(self.grad_norm, rows),
            epoch=_rows(self.epoch, rows),
            has_extras=self.has_extras[rows],
            train_steps=self.train_steps[rows],
            others=tuple(other for other in self.others if start <= other.position < stop),
        )

    def select(self, rows: Mask, others: tuple[PlacedEvent, ...]) -> "Batch":
        """This batch with only some of its events, each at its place.

        Args:
            rows: Shape (n,): the training steps to keep.
            others: The other events to keep, in order.
        """
        return attrs.evolve(
            self,
            position=self.position[rows],
            step=self.step[rows],
            ts=self.ts[rows],
            loss=_rows(self.loss, rows),
            lr=_rows(self.lr, rows),
            grad_norm=_rows(self.grad_norm, rows),
            epoch=_rows(self.epoch, rows),
            has_extras=self.has_extras[rows],
            train_steps=tuple(itertools.compress(self.train_steps, rows.tolist())),
            others=others,
        )

    def steps_with_extras(self) -> Iterator[PlacedStep]:
        """The training steps that logged more than the hot fields."""
        positions = self.position[self.has_extras].tolist()
        events = itertools.compress(self.train_steps, self.has_extras.tolist())
        return map(PlacedStep, positions, events)

    def run_starts(self) -> tuple[tuple[int, str], ...]:
        """Position and run id of each ``run_start`` in the batch."""
        return tuple(
            (position, event.run_id)
            for position, event in self.others
            if isinstance(event, RunStart)
        )


def build_batch(events: Sequence[AnyEvent], start: int = 0) -> Batch:
    """Makes a batch of consecutive events.

    Args:
        events: The events, in stream order; may be empty.
        start: Position of the first one in the stream.

    Returns:
        The batch; its columns have one row per training step.
    """
    train: list[TrainStep] = []
    position: list[int] = []
    others: list[PlacedEvent] = []
    for place, event in enumerate(events, start):
        if type(event) is TrainStep:
            train.append(event)
            position.append(place)
        else:
            others.append(PlacedEvent(place, event))
    return Batch(
        start=start,
        stop=start + len(events),
        position=np.array(position, dtype=np.int64),
        step=np.array([NO_STEP if e.step is None else e.step for e in train], dtype=np.int64),
        ts=np.array([e.ts for e in train], dtype=np.float64),
        loss=_column([e.loss for e in train]),
        lr=_column([_largest(e.lr) for e in train]),
        grad_norm=_column([e.grad_norm for e in train]),
        epoch=_column([e.epoch for e in train]),
        has_extras=np.array([bool(e.extras) for e in train], dtype=np.bool_),
        train_steps=tuple(train),
        others=tuple(others),
    )


def _column(values: list[float | None]) -> Column:
    array = np.array(values, dtype=np.float64)
    logged = np.array([value is not None for value in values], dtype=np.bool_)
    return Column(array, logged)


def _largest(lr: float | tuple[float, ...] | None) -> float | None:
    if isinstance(lr, tuple):
        # Not max alone: whether it sees a NaN among the groups depends on their order.
        if any(math.isnan(rate) for rate in lr):
            return math.nan
        return max(lr) if lr else None
    return lr


def _rows(column: Column, rows: "slice[int, int, None] | Mask") -> Column:
    return Column(column.values[rows], column.logged[rows])
