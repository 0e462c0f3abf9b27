"""The lineage of a resumed run: no training step and no evaluation counts twice.

A run that resumes from the checkpoint of step S trains the steps after S again. Its truth is what
it records then; what it had recorded of those steps before is superseded. A fold cannot take back
what it has added, so the last :data:`HORIZON` events wait, and with a resume

1. those among them that are training steps or evaluations above S are taken out;
2. training steps that follow and lie not above the largest step that still counts are repeats,
   and are left out; so are evaluations, by the largest step of theirs.

Rule 2 only ever matters where a resume goes back further than the horizon: the first record of a
step counts there. Everything else (alerts, metrics, run ends) stays: it did happen.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import attrs
import msgspec

from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import NO_STEP, Batch, concatenate
from gradience.core.signals.resumes import LAST_STEP, segments
from gradience.core.telemetry.events import Eval

S = TypeVar("S")
R = TypeVar("R")

HORIZON = 4096
"""Events of the stream that a resume can take back: 2 to 3 MB of them, and more than are written
between two checkpoints by the Trainer's defaults (50, for 500 steps with a log every 10)."""

MAX_JOINED = HORIZON // 2
"""Longest batch that is made of smaller ones while they wait."""


class LineageSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What the resumes of a run took out of its numbers."""

    superseded: int = 0
    """Training steps and evaluations that a resume took back."""
    left_out: int = 0
    """Training steps and evaluations left out as repeats: their first record counts."""
    resumes_beyond_horizon: int = 0
    """Resumes that went back further than :data:`HORIZON` events."""


class _Furthest(NamedTuple):
    """The largest step of the training steps, and of the evaluations."""

    train: int = NO_STEP
    evals: int = NO_STEP


class _Steps(NamedTuple):
    """The steps from ``first`` to ``last``, none where ``last`` is smaller."""

    first: int
    last: int

    def holds(self, step: int | None) -> bool:
        return step is not None and self.first <= step <= self.last


@attrs.frozen
class LineageState(Generic[S]):
    """State of :func:`resumed_lineage`."""

    settled: S
    """The analyzer's state over what cannot be taken back any more."""
    settled_to: _Furthest = _Furthest()
    pending: tuple[Batch, ...] = ()
    repeats_to: _Furthest = _Furthest()
    """Records of up to these steps are repeats."""
    signal: LineageSignal = LineageSignal()


def resumed_lineage(
    analyzer: Analyzer[S, R],
) -> Analyzer[LineageState[S], tuple[R, LineageSignal]]:
    """Restricts an analyzer to the lineage of a run: see the module's description.

    Args:
        analyzer: What to compute over the training steps and evaluations of one run.

    Returns:
        An analyzer whose result is that of the lineage, and what was taken out of it.
    """

    def init() -> LineageState[S]:
        return LineageState(analyzer.init())

    def update(state: LineageState[S], batch: Batch) -> LineageState[S]:
        for resumed_from, events in segments(batch):
            if resumed_from is not None:
                state = _resume(state, resumed_from)
            state = _settle(_append(state, events), events.stop - HORIZON, analyzer.update)
        return state

    def result(state: LineageState[S]) -> tuple[R, LineageSignal]:
        if not state.pending:
            return analyzer.result(state.settled), state.signal
        return analyzer.result(
            analyzer.update(state.settled, concatenate(state.pending))
        ), state.signal

    return Analyzer(init, update, result)


def _resume(state: LineageState[S], step: int) -> LineageState[S]:
    later = _Steps(step + 1, LAST_STEP)
    kept = tuple(_without(batch, later, later) for batch in state.pending)
    taken = sum(map(_size, state.pending)) - sum(map(_size, kept))
    beyond = max(state.settled_to) > step
    signal = msgspec.structs.replace(
        state.signal,
        superseded=state.signal.superseded + taken,
        resumes_beyond_horizon=state.signal.resumes_beyond_horizon + beyond,
    )
    repeats_to = state.settled_to
    for batch in kept:
        repeats_to = _furthest(repeats_to, batch)
    return attrs.evolve(state, pending=kept, repeats_to=repeats_to, signal=signal)


def _append(state: LineageState[S], batch: Batch) -> LineageState[S]:
    if state.repeats_to == _Furthest():
        return attrs.evolve(state, pending=_with_batch(state.pending, batch))
    train, evals = state.repeats_to
    kept = _without(batch, _Steps(0, train), _Steps(0, evals))
    left_out = state.signal.left_out + _size(batch) - _size(kept)
    signal = msgspec.structs.replace(state.signal, left_out=left_out)
    return attrs.evolve(state, pending=_with_batch(state.pending, kept), signal=signal)


def _with_batch(pending: tuple[Batch, ...], batch: Batch) -> tuple[Batch, ...]:
    """The batches with another one, which takes in those before it that are not larger.

    So each event is copied a logarithmic number of times, and however small the batches of a
    growing file are, few wait.
    """
    first, length = len(pending), _length(batch)
    while first and _length(pending[first - 1]) <= min(length, MAX_JOINED - length):
        first -= 1
        length += _length(pending[first])
    return (*pending[:first], concatenate([*pending[first:], batch]))


def _length(batch: Batch) -> int:
    return batch.stop - batch.start


def _settle(state: LineageState[S], edge: int, update: Callable[[S, Batch], S]) -> LineageState[S]:
    """Feeds what stands before ``edge`` in the stream to the analyzer."""
    settled, settled_to, waiting = state.settled, state.settled_to, list(state.pending)
    while waiting and waiting[0].start < edge:
        first = waiting.pop(0)
        if first.stop > edge:
            waiting.insert(0, first.slice(edge, first.stop))
            first = first.slice(first.start, edge)
        settled, settled_to = update(settled, first), _furthest(settled_to, first)
    return attrs.evolve(state, settled=settled, settled_to=settled_to, pending=tuple(waiting))


def _furthest(known: _Furthest, batch: Batch) -> _Furthest:
    steps = [event.step for _, event in batch.others if isinstance(event, Eval)]
    return _Furthest(
        max(known.train, int(batch.step.max(initial=NO_STEP))),
        max([known.evals, *(step for step in steps if step is not None)]),
    )


def _without(batch: Batch, train: _Steps, evals: _Steps) -> Batch:
    """The batch without the training steps and evaluations of these steps."""
    rows = (batch.step < train.first) | (batch.step > train.last)
    others = tuple(
        placed
        for placed in batch.others
        if not isinstance(placed.event, Eval) or not evals.holds(placed.event.step)
    )
    if rows.all() and len(others) == len(batch.others):
        return batch
    return batch.select(rows, others)


def _size(batch: Batch) -> int:
    return batch.n_steps + len(batch.others)
