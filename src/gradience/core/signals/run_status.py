"""Whose run this is, how far it came and how it ended.

A pure, deterministic function of the event sequence.
"""

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from enum import Enum

import attrs
import msgspec
import numpy as np

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import Batch
from gradience.core.signals.resumes import segments
from gradience.core.telemetry.clock import CLOCK, NO_CLOCK
from gradience.core.telemetry.events import RunEnd, RunStart, RunStatus, UnknownEvent, event_name

MAX_RESUMES_KEPT = 100
"""Resumes named by their step, the latest; all are counted, and memory stays bounded."""

MAX_REPEATED = 2**53
"""The count of repeated steps stops here: far beyond any run, within every JSON parser's reach."""


class Outcome(Enum):
    """How the run stands, as far as its record goes."""

    OK = "ok"
    ABORTED = "aborted"
    ERROR = "error"
    UNFINISHED = "unfinished"


class RunSignal(msgspec.Struct, frozen=True, kw_only=True):
    """The run's identity, extent and end."""

    run_id: str | None = None
    outcome: Outcome = Outcome.UNFINISHED
    reason: str | None = None
    """What ``run_end`` gives as the reason."""
    config: ConfigSnapshot | None = None
    meta: Mapping[str, object] = {}
    first_step: int | None = None
    last_step: int | None = None
    """The furthest step since the last resume; not below the step resumed from."""
    duration_s: float | None = None
    """Last time stamp minus the first, summed over the parts between resumes: the time that the
    run lay idle before a resume is none of it. None where the log has no clock."""
    n_resumes: int = 0
    """Run starts that go on from a checkpoint."""
    resumed_from_steps: tuple[int, ...] = ()
    """The checkpoints' steps, of the last :data:`MAX_RESUMES_KEPT` resumes."""
    repeated_steps: int = 0
    """Steps that lay beyond a checkpoint when the run resumed from it, so that they are trained
    again; summed over the resumes."""
    events: Mapping[str, int] = {}
    """Number of events by name."""
    foreign_records: int = 0
    """Records with another run id than the run had at their place in the stream."""


@attrs.frozen
class RunStatusState:
    """The same, while it is being gathered."""

    signal: RunSignal = RunSignal()
    first_ts: float | None = None
    last_ts: float | None = None
    before_s: float | None = None
    """Duration up to the last resume."""


def run_status() -> Analyzer[RunStatusState, RunSignal]:
    """The analyzer of the run's identity, extent and end."""
    return Analyzer(RunStatusState, _update, _result)


def _update(state: RunStatusState, batch: Batch) -> RunStatusState:
    for resumed_from, events in segments(batch):
        if resumed_from is not None:
            state = _resume(state, resumed_from)
        state = _add(state, events)
    return state


def _resume(state: RunStatusState, step: int) -> RunStatusState:
    signal, last = state.signal, state.signal.last_step
    lost = 0 if last is None else max(0, last - step)
    signal = msgspec.structs.replace(
        signal,
        last_step=None if last is None else min(last, step),
        n_resumes=signal.n_resumes + 1,
        resumed_from_steps=(*signal.resumed_from_steps, step)[-MAX_RESUMES_KEPT:],
        repeated_steps=min(signal.repeated_steps + lost, MAX_REPEATED),
    )
    return RunStatusState(signal, before_s=_duration(state))


def _add(state: RunStatusState, batch: Batch) -> RunStatusState:
    signal = _with_identity(_with_steps(state.signal, batch), batch)
    counts = dict(signal.events)
    if batch.n_steps:
        counts["train_step"] = counts.get("train_step", 0) + batch.n_steps
    finite = batch.ts[np.isfinite(batch.ts)]
    stamps = [float(finite.min()), float(finite.max())] if finite.size else []
    for _, event in batch.others:
        name = event_name(event)
        counts[name] = counts.get(name, 0) + 1
        if event.ts is not None and math.isfinite(event.ts):
            stamps.append(event.ts)
        if not isinstance(event, UnknownEvent):
            signal = _add_other(signal, event)
    return attrs.evolve(
        state,
        signal=msgspec.structs.replace(signal, events=dict(sorted(counts.items()))),
        first_ts=min([*stamps, *_known(state.first_ts)], default=None),
        last_ts=max([*stamps, *_known(state.last_ts)], default=None),
    )


def _known(ts: float | None) -> tuple[float, ...]:
    return () if ts is None else (ts,)


def _with_steps(signal: RunSignal, batch: Batch) -> RunSignal:
    """The run's extent, from every record that names a step."""
    rows = batch.step[batch.step >= 0]
    steps = [int(rows.min()), int(rows.max())] if rows.size else []
    steps += [event.step for _, event in batch.others if event.step is not None]
    if not steps:
        return signal
    first, last = signal.first_step, signal.last_step
    return msgspec.structs.replace(
        signal,
        first_step=min(steps) if first is None else min(first, *steps),
        last_step=max(steps) if last is None else max(last, *steps),
    )


def _with_identity(signal: RunSignal, batch: Batch) -> RunSignal:
    """The run's id, from its first record until a ``run_start`` says otherwise."""
    run_id, foreign = signal.run_id, signal.foreign_records
    edges = [batch.start, *(place for place, _ in batch.run_starts()), batch.stop]
    for low, high in itertools.pairwise(edges):
        part = batch if len(edges) == 2 else batch.slice(low, high)  # noqa: PLR2004  one part
        starts = part.run_starts()
        run_id = starts[0][1] if starts else run_id
        ids = _run_ids(part)
        run_id = next(iter(ids)) if run_id is None and ids else run_id
        foreign += sum(count for found, count in ids.items() if found != run_id)
    return msgspec.structs.replace(signal, run_id=run_id, foreign_records=foreign)


def _run_ids(batch: Batch) -> Mapping[str, int]:
    """The run ids, the first record's first, and how many records have each."""
    steps = batch.run_ids()
    named = [(place, event.run_id) for place, event in batch.others if event.run_id is not None]
    first = not steps or (bool(named) and named[0][0] < int(batch.position[0]))
    others = Counter(run_id for _, run_id in named)
    return others + steps if first else steps + others


def _add_other(signal: RunSignal, event: object) -> RunSignal:
    if isinstance(event, RunStart):
        return msgspec.structs.replace(
            signal,
            outcome=Outcome.UNFINISHED,
            reason=None,
            config=event.config,
            meta=event.meta,
        )
    if isinstance(event, RunEnd) and event.run_id == signal.run_id:
        outcome = _OUTCOMES[event.status]
        return msgspec.structs.replace(signal, outcome=outcome, reason=event.reason)
    return signal


_OUTCOMES: Mapping[RunStatus, Outcome] = {
    RunStatus.OK: Outcome.OK,
    RunStatus.ABORTED: Outcome.ABORTED,
    RunStatus.ERROR: Outcome.ERROR,
}


def _result(state: RunStatusState) -> RunSignal:
    return msgspec.structs.replace(state.signal, duration_s=_duration(state))


def _duration(state: RunStatusState) -> float | None:
    if state.signal.meta.get(CLOCK) == NO_CLOCK:
        return None
    if state.first_ts is None or state.last_ts is None:
        return state.before_s
    return (state.before_s or 0.0) + (state.last_ts - state.first_ts)
