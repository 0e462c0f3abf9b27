"""The analyzer: three pure functions that fold a stream of events into one signal.

Its law: the result does not depend on how the stream was cut into batches. The same analyzer
serves a finished file, a growing one and a live run.
"""

from collections.abc import Callable, Iterable
from typing import Generic, Never, Protocol, TypeVar, cast, overload

import attrs

from gradience.core.signals.batch import Batch

S = TypeVar("S")
R = TypeVar("R")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
R5 = TypeVar("R5")
R6 = TypeVar("R6")
R_co = TypeVar("R_co", covariant=True)


@attrs.frozen
class Analyzer(Generic[S, R_co]):
    """``init() -> S``, ``update(S, Batch) -> S`` and ``result(S) -> R``, all pure.

    States and results are immutable values. A result may say "not enough data" with a reason;
    it never raises on what a stream can hold.
    """

    init: Callable[[], S]
    update: Callable[[S, Batch], S]
    result: Callable[[S], R_co]


def fold(analyzer: Analyzer[S, R], batches: Iterable[Batch]) -> R:
    """The analyzer's signal over a whole stream."""
    state = analyzer.init()
    for batch in batches:
        state = analyzer.update(state, batch)
    return analyzer.result(state)


def mapped(analyzer: Analyzer[S, R], change: Callable[[R], R1]) -> Analyzer[S, R1]:
    """An analyzer whose result is a pure function of another's."""
    return Analyzer(analyzer.init, analyzer.update, lambda state: change(analyzer.result(state)))


class _AnyState(Protocol[R_co]):
    """An analyzer whose state's type does not matter to the caller."""

    @property
    def init(self) -> Callable[[], object]: ...
    @property
    def update(self) -> Callable[[Never, Batch], object]: ...
    @property
    def result(self) -> Callable[[Never], R_co]: ...


_States = tuple[object, ...]


@overload
def combine(a: _AnyState[R1], b: _AnyState[R2], /) -> Analyzer[_States, tuple[R1, R2]]: ...
@overload
def combine(
    a: _AnyState[R1], b: _AnyState[R2], c: _AnyState[R3], /
) -> Analyzer[_States, tuple[R1, R2, R3]]: ...
@overload
def combine(
    a: _AnyState[R1], b: _AnyState[R2], c: _AnyState[R3], d: _AnyState[R4], /
) -> Analyzer[_States, tuple[R1, R2, R3, R4]]: ...
@overload
def combine(
    a: _AnyState[R1],
    b: _AnyState[R2],
    c: _AnyState[R3],
    d: _AnyState[R4],
    e: _AnyState[R5],
    /,
) -> Analyzer[_States, tuple[R1, R2, R3, R4, R5]]: ...
@overload
def combine(
    a: _AnyState[R1],
    b: _AnyState[R2],
    c: _AnyState[R3],
    d: _AnyState[R4],
    e: _AnyState[R5],
    f: _AnyState[R6],
    /,
) -> Analyzer[_States, tuple[R1, R2, R3, R4, R5, R6]]: ...
def combine(*analyzers: _AnyState[object]) -> Analyzer[_States, tuple[object, ...]]:
    """Makes one analyzer of several, so that one pass over a stream feeds them all.

    Args:
        *analyzers: The parts; their states and results stay apart.

    Returns:
        An analyzer whose result is the tuple of the parts' results, in order.
    """

    def init() -> _States:
        return tuple(part.init() for part in analyzers)

    def update(states: _States, batch: Batch) -> _States:
        return tuple(
            part.update(cast("Never", state), batch)
            for part, state in zip(analyzers, states, strict=True)
        )

    def result(states: _States) -> tuple[object, ...]:
        return tuple(
            part.result(cast("Never", state)) for part, state in zip(analyzers, states, strict=True)
        )

    return Analyzer(init, update, result)


MAX_RUNS_KEPT = 32
"""Earlier runs that can be continued; of more the one left longest ago is dropped."""


@attrs.frozen
class RunState(Generic[S]):
    """State of :func:`latest_run`: the run being read, its analyzer's state, runs seen."""

    run_id: str | None
    inner: S
    runs: int
    earlier: tuple[tuple[str, S], ...] = ()
    """Runs that another one interrupted, by id, the one left longest ago first."""


def latest_run(analyzer: Analyzer[S, R]) -> Analyzer[RunState[S], tuple[R, int]]:
    """Restricts an analyzer to the last run of a stream that may hold several.

    A ``run_start`` with a new run id begins a run; one whose id was seen before continues that
    run (a resume), with other runs in between or not. The last run is the one begun or continued
    last.

    Args:
        analyzer: What to compute over the run.

    Returns:
        An analyzer whose result is that of the last run, and the number of runs in the stream
        (0 where no ``run_start`` was seen). A run that more than :data:`MAX_RUNS_KEPT` others
        interrupted is forgotten: continued after that, it counts as a new one.
    """

    def init() -> RunState[S]:
        return RunState(None, analyzer.init(), 0)

    def update(state: RunState[S], batch: Batch) -> RunState[S]:
        position = batch.start
        for start, run_id in batch.run_starts():
            if run_id == state.run_id:
                continue
            if state.runs:
                state = _switch(_advance(state, batch, position, start), run_id)
                position = start
            else:
                state = RunState(run_id, state.inner, 1)
        return _advance(state, batch, position, batch.stop)

    def _switch(state: RunState[S], run_id: str) -> RunState[S]:
        earlier = dict(state.earlier)
        known = run_id in earlier
        inner = earlier.pop(run_id) if known else analyzer.init()
        left = *earlier.items(), (str(state.run_id), state.inner)
        return RunState(run_id, inner, state.runs + (not known), left[-MAX_RUNS_KEPT:])

    def _advance(state: RunState[S], batch: Batch, start: int, stop: int) -> RunState[S]:
        whole = (start, stop) == (batch.start, batch.stop)
        part = batch if whole else batch.slice(start, stop)
        return attrs.evolve(state, inner=analyzer.update(state.inner, part))

    def result(state: RunState[S]) -> tuple[R, int]:
        return analyzer.result(state.inner), state.runs

    return Analyzer(init, update, result)
