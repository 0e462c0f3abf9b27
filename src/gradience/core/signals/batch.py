"""A batch: a run of events with the hot fields of the training steps as columns."""

import functools
import itertools
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.signals.packing import Rates, packed_floats, packed_rates, packed_steps
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    AnyEvent,
    RunStart,
    TrainStep,
)
from gradience.core.telemetry.step_rows import OpenStepRow, StepRow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

NO_STEP = -1
"""Stands in an integer column for a step that the record did not give."""

Row = StepRow | TrainStep
"""A training step as it was read, or as an event."""


class PlacedEvent(NamedTuple):
    """An event that is no training step, and its position in the stream (from 0)."""

    position: int
    event: AnyEvent


class PlacedStep(NamedTuple):
    """A training step and its position in the stream."""

    position: int
    event: TrainStep


class PlacedExtras(NamedTuple):
    """What a training step logged beside the hot fields, and the step's position in the stream."""

    position: int
    step: int | None
    extras: Mapping[str, object]


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
    parameter groups. ``has_extras`` tells which steps logged more than the hot fields.
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
    others: tuple[PlacedEvent, ...]
    run_id: str | None
    """Of every training step; None where there is none, or where they differ."""
    rows: tuple[Row, ...] | None
    """The training steps as they were read; None where the columns and ``run_id`` say it all."""

    @property
    def n_steps(self) -> int:
        """Training steps in the batch."""
        return self.step.size

    @property
    def train_steps(self) -> tuple[TrainStep, ...]:
        """The training steps as events, made anew by each call: not for every batch of a run."""
        return tuple(map(_as_event, self.whole_rows()))

    def run_ids(self) -> Counter[str]:
        """The run ids of the training steps, the first step's first, and how many have each."""
        if self.run_id is not None:
            return Counter({self.run_id: self.n_steps} if self.n_steps else {})
        return Counter(row.run_id for row in self.whole_rows())

    @functools.cached_property
    def extra_names(self) -> frozenset[str]:
        """The keys of everything that the training steps logged beside the hot fields."""
        names: frozenset[str] = frozenset()
        return names.union(*self.extras())

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
            others=tuple(other for other in self.others if start <= other.position < stop),
            run_id=self.run_id,
            rows=None if self.rows is None else self.rows[rows],
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
            others=others,
            rows=None if self.rows is None else (*itertools.compress(self.rows, rows.tolist()),),
        )

    def extras(self) -> list[Mapping[str, object]]:
        """What the rows of ``has_extras`` logged beside the hot fields, in order."""
        return [row.extras or {} for row in self._rows_with_extras()]

    def placed_extras(self) -> Iterator[PlacedExtras]:
        """The same, each with its place."""
        positions = self.position[self.has_extras].tolist()
        steps = (row.step for row in self._rows_with_extras())
        return map(PlacedExtras, positions, steps, self.extras())

    def steps_with_extras(self) -> Iterator[PlacedStep]:
        """The training steps of ``has_extras`` as events: dearer than :meth:`placed_extras`."""
        positions = self.position[self.has_extras].tolist()
        return map(PlacedStep, positions, map(_as_event, self._rows_with_extras()))

    def _rows_with_extras(self) -> Iterator[Row]:
        if self.rows is None or not self.has_extras.any():
            return iter(())
        return itertools.compress(self.rows, self.has_extras.tolist())

    def whole_rows(self) -> tuple[Row, ...]:
        """The training steps one by one, as they were read or made of the columns."""
        return self.rows if self.rows is not None else tuple(_steps_of_columns(self))

    def run_starts(self) -> tuple[tuple[int, str], ...]:
        """Position and run id of each ``run_start`` in the batch."""
        return tuple(
            (position, event.run_id)
            for position, event in self.others
            if isinstance(event, RunStart)
        )


def build_batch(events: Sequence[Row | AnyEvent], start: int = 0) -> Batch:
    """Makes a batch of consecutive events.

    Args:
        events: The events, or rows as :func:`gradience.core.telemetry.decode.decode_block` gives
            them, in stream order; may be empty.
        start: Position of the first one in the stream.

    Returns:
        The batch; its columns have one row per training step.
    """
    kinds = list(map(type, events))
    steps = cast("Sequence[Row]", events)
    if kinds.count(StepRow) == len(kinds):
        return _batch_of_rows(steps, start, plain=True)
    is_step = [kind in _STEP_KINDS for kind in kinds]
    rows = list(itertools.compress(steps, is_step))
    batch = _batch_of_rows(rows, start, plain=kinds.count(StepRow) == len(rows))
    others = [place for place, step in enumerate(is_step) if not step]
    return attrs.evolve(
        batch,
        stop=start + len(events),
        position=np.flatnonzero(is_step) + start,
        others=tuple(PlacedEvent(start + at, cast("AnyEvent", events[at])) for at in others),
    )


def _batch_of_rows(rows: Sequence[Row], start: int, *, plain: bool) -> Batch:
    """A batch of training steps alone; ``plain``: they are all of :class:`StepRow` itself."""
    whole = _whole_columns(rows, start) if plain else None
    if whole is not None:
        return whole
    rates = [row.lr for row in rows]
    batch = Batch(
        start=start,
        stop=start + len(rows),
        position=np.arange(start, start + len(rows)),
        step=packed_steps([row.step for row in rows], NO_STEP),
        ts=packed_floats([row.ts for row in rows]),
        loss=Column(*packed_rates([row.loss for row in rows])),
        lr=Column(*packed_rates(rates)),
        grad_norm=Column(*packed_rates([row.grad_norm for row in rows])),
        epoch=Column(*packed_rates([row.epoch for row in rows])),
        has_extras=np.zeros(len(rows), dtype=np.bool_),
        others=(),
        run_id=_common([row.run_id for row in rows]),
        rows=None,
    )
    if plain and _say_all(batch, rates):
        return batch
    has_extras = np.array([bool(row.extras) for row in rows], dtype=np.bool_)
    return attrs.evolve(batch, has_extras=has_extras, rows=tuple(rows))


def _whole_columns(rows: Sequence[Row], start: int) -> Batch | None:
    """The batch of rows that logged every hot field as one number each; None of any others."""
    try:
        packed = [
            _PACK(row.step, row.ts, row.loss, row.lr, row.grad_norm, row.epoch) for row in rows
        ]
    except struct.error:
        return None
    table = np.frombuffer(b"".join(packed), dtype=_TABLE)
    run_id, logged = _common([row.run_id for row in rows]), np.ones(len(rows), dtype=np.bool_)
    if run_id is None or not (table["step"] != NO_STEP).all():
        return None
    return Batch(
        start=start,
        stop=start + len(rows),
        position=np.arange(start, start + len(rows)),
        step=table["step"],
        ts=table["ts"],
        loss=Column(table["loss"], logged),
        lr=Column(table["lr"], logged),
        grad_norm=Column(table["grad_norm"], logged),
        epoch=Column(table["epoch"], logged),
        has_extras=~logged,
        others=(),
        run_id=run_id,
        rows=None,
    )


def _common(run_ids: list[str]) -> str | None:
    if run_ids and run_ids.count(run_ids[0]) == len(run_ids):
        return run_ids[0]
    return None


def _say_all(batch: Batch, rates: Sequence[Rates]) -> bool:
    """Whether the columns and the run's id say all that rows without extras do."""
    return (
        batch.run_id is not None
        and bool((batch.step != NO_STEP).all())
        and tuple not in set(map(type, rates))
    )


def _steps_of_columns(batch: Batch) -> Iterator[TrainStep]:
    """The training steps of which the columns and the run's id say all."""
    columns = (batch.loss, batch.lr, batch.grad_norm, batch.epoch)
    hot = zip(*map(_logged_values, columns), strict=True)
    places = zip(batch.step.tolist(), batch.ts.tolist(), strict=True)
    for (step, ts), (loss, lr, grad_norm, epoch) in zip(places, hot, strict=True):
        yield TrainStep(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=ts,
            run_id=str(batch.run_id),
            step=step,
            loss=loss,
            lr=lr,
            grad_norm=grad_norm,
            epoch=epoch,
        )


def _logged_values(column: Column) -> list[float | None]:
    pairs = zip(column.values.tolist(), column.logged.tolist(), strict=True)
    return [value if logged else None for value, logged in pairs]


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Makes one batch of several.

    Args:
        batches: At least one, in stream order.

    Returns:
        The batch of all their events, each at its place.
    """
    if len(batches) == 1:
        return batches[0]
    run_ids = {batch.run_id for batch in batches if batch.n_steps}
    run_id = run_ids.pop() if len(run_ids) == 1 else None
    say_all = run_id is not None and all(
        batch.rows is None or not batch.n_steps for batch in batches
    )
    rows = None if say_all else (row for batch in batches for row in batch.whole_rows())
    return Batch(
        start=batches[0].start,
        stop=batches[-1].stop,
        position=np.concatenate([batch.position for batch in batches]),
        step=np.concatenate([batch.step for batch in batches]),
        ts=np.concatenate([batch.ts for batch in batches]),
        loss=_joined([batch.loss for batch in batches]),
        lr=_joined([batch.lr for batch in batches]),
        grad_norm=_joined([batch.grad_norm for batch in batches]),
        epoch=_joined([batch.epoch for batch in batches]),
        has_extras=np.concatenate([batch.has_extras for batch in batches]),
        others=tuple(itertools.chain.from_iterable(batch.others for batch in batches)),
        run_id=run_id,
        rows=None if rows is None else tuple(rows),
    )


_STEP_KINDS = frozenset({TrainStep, StepRow, OpenStepRow})


def _as_event(row: Row) -> TrainStep:
    return row.as_event() if isinstance(row, StepRow) else row


_PACK = struct.Struct("=q5d").pack
_TABLE = np.dtype(
    [
        ("step", np.int64),
        *((name, np.float64) for name in ("ts", "loss", "lr", "grad_norm", "epoch")),
    ]
)


def _rows(column: Column, rows: "slice[int, int, None] | Mask") -> Column:
    return Column(column.values[rows], column.logged[rows])


def _joined(columns: Sequence[Column]) -> Column:
    return Column(
        np.concatenate([column.values for column in columns]),
        np.concatenate([column.logged for column in columns]),
    )
