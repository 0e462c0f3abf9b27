"""NaN and infinities in a run: a pure, deterministic function of its events.

Looks at the loss, the gradient norm and the learning rate of every training step, at every
further number it logged, and at every evaluation metric.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

import attrs
import msgspec
import numpy as np

from gradience.core.nonfinite import split_nonfinite
from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch, Column
from gradience.core.signals.loss import known_step
from gradience.core.telemetry.encode import COLLISION_PREFIX
from gradience.core.telemetry.events import Eval

MAX_NAMES = 1000
"""Different metric names kept apart; further ones share one count, so memory stays bounded."""

OVERFLOW_NAME = "other metrics"
"""Name of the shared count."""


class NonfiniteCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often one logged quantity was NaN or infinite."""

    name: str
    """``loss``, ``grad_norm``, ``lr``, an extra's key, or ``eval.<split>.<metric>``."""
    count: int
    logged: int
    """How often the quantity was logged at all; 0 where that is not counted (extras)."""
    first_step: int | None
    last_step: int | None


class NonfiniteSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Every quantity that was non-finite at least once, by name; empty for a clean run."""

    counts: tuple[NonfiniteCount, ...] = ()


@attrs.frozen
class _Count:
    count: int = 0
    logged: int = 0
    first_step: int | None = None
    last_step: int | None = None

    def add(self, count: int, logged: int, first: int | None, last: int | None) -> "_Count":
        if not count:
            return attrs.evolve(self, logged=self.logged + logged)
        return _Count(
            self.count + count,
            self.logged + logged,
            self.first_step if self.count else first,
            last,
        )


_State = Mapping[str, _Count]

_COLUMNS = ("loss", "grad_norm", "lr")


def nonfinite_values() -> Analyzer[_State, NonfiniteSignal]:
    """The analyzer of non-finite values."""
    return Analyzer(dict, _update, _result)


def _update(state: _State, batch: Batch) -> _State:
    new = dict(state)
    columns = (batch.loss, batch.grad_norm, batch.lr)
    for name, column in zip(_COLUMNS, columns, strict=True):
        new[name] = _add_column(new.get(name, _Count()), column, batch)
    for group in sorted(_metric_groups(batch), key=lambda group: group.position):
        _add_metrics(new, group)
    return new


class _MetricGroup(NamedTuple):
    position: int
    prefix: str
    step: int | None
    metrics: Mapping[str, object]


def _metric_groups(batch: Batch) -> Iterator[_MetricGroup]:
    if any(map(_may_hold_nonfinite, batch.extras())):
        for position, step, extras in batch.placed_extras():
            if _may_hold_nonfinite(extras):
                yield _MetricGroup(position, "", step, extras)
    for position, other in batch.others:
        if isinstance(other, Eval):
            yield _MetricGroup(position, f"eval.{other.split}.", other.step, other.metrics)


def _may_hold_nonfinite(metrics: Mapping[str, object]) -> bool:
    """A quick look: false for the extras of nearly every step."""
    try:
        # A sum of finite numbers is finite, but for one that overflows: then it is looked at.
        return not math.isfinite(sum(cast("Iterable[float]", metrics.values())))
    except (TypeError, OverflowError):
        return any(map(_is_nonfinite_or_holds, metrics.values()))


def _is_nonfinite_or_holds(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, dict | list)


def _add_column(count: _Count, column: Column, batch: Batch) -> _Count:
    rows = np.flatnonzero(column.nonfinite())
    logged = int(np.count_nonzero(column.logged))
    if not rows.size:
        return count.add(0, logged, None, None)
    first, last = (known_step(int(batch.step[row])) for row in (rows[0], rows[-1]))
    return count.add(int(rows.size), logged, first, last)


def _add_metrics(counts: dict[str, _Count], group: _MetricGroup) -> None:
    for name in _nonfinite_names(group.metrics):
        full = group.prefix + name
        if full in _COLUMNS:  # an extra of that name: called what its record calls it
            full = COLLISION_PREFIX + full
        key = full if full in counts or len(counts) < MAX_NAMES else OVERFLOW_NAME
        counts[key] = counts.get(key, _Count()).add(1, 0, group.step, group.step)


def _nonfinite_names(metrics: Mapping[str, object]) -> Iterator[str]:
    for name, value in metrics.items():
        if isinstance(value, float):
            if not math.isfinite(value):
                yield name
        elif isinstance(value, dict | list):
            yield from split_nonfinite({name: value})[1]


def _result(state: _State) -> NonfiniteSignal:
    return NonfiniteSignal(
        counts=tuple(
            NonfiniteCount(
                name=name,
                count=count.count,
                logged=count.logged,
                first_step=count.first_step,
                last_step=count.last_step,
            )
            for name, count in sorted(state.items())
            if count.count
        )
    )
