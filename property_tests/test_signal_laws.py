"""The law of the analyzers: a result does not depend on how the stream was cut into batches."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.monitoring.report import monitor_report
from gradience.core.severity import Severity
from gradience.core.signals import analyzer, evals, lineage, nonfinite_values, records
from gradience.core.signals import run_status as run_status_module
from gradience.core.signals.analyzer import combine, fold, latest_run
from gradience.core.signals.batch import Batch, build_batch
from gradience.core.signals.eval_history import eval_histories
from gradience.core.signals.evals import latest_evals
from gradience.core.signals.history import training_history
from gradience.core.signals.learning_rate import learning_rate_summary
from gradience.core.signals.lineage import resumed_lineage
from gradience.core.signals.loss import loss_summary
from gradience.core.signals.nonfinite_values import nonfinite_values as nonfinite
from gradience.core.signals.objective import training_objective
from gradience.core.signals.pipeline import run_signals
from gradience.core.signals.recorder_counts import recorder_counts
from gradience.core.signals.records import recorded
from gradience.core.signals.run_status import run_status
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    Alert,
    AnyEvent,
    Eval,
    RunStart,
    TrainStep,
    UnknownEvent,
)
from property_tests.events import CUT_STREAMS, NUMBERS, CutStream, cut

# Equality is that of repr: exact, and NaN equals NaN.

Reading = Callable[[Iterable[Batch]], object]

READINGS: Mapping[str, Reading] = {
    "evals": lambda batches: fold(latest_evals(), batches),
    "loss": lambda batches: fold(loss_summary(), batches),
    "learning_rate": lambda batches: fold(learning_rate_summary(), batches),
    "nonfinite_values": lambda batches: fold(nonfinite(), batches),
    "records": lambda batches: fold(recorded(), batches),
    "run_status": lambda batches: fold(run_status(), batches),
    "recorder_counts": lambda batches: fold(recorder_counts(), batches),
    "lineage": lambda batches: fold(resumed_lineage(loss_summary()), batches),
    "history": lambda batches: fold(training_history(), batches),
    "eval_histories": lambda batches: fold(eval_histories(), batches),
    "objective": lambda batches: fold(training_objective(), batches),
    "latest_run": lambda batches: fold(latest_run(loss_summary()), batches),
    "pipeline": run_signals,
}

_COUNTS: st.SearchStrategy[Mapping[str, object]] = st.dictionaries(
    st.sampled_from(["dropped_events", "nonfinite_grad_steps", "nonfinite_param_steps", "kl"]),
    st.integers(-1, 3) | NUMBERS,
    max_size=2,
)
_ENVELOPE = {
    "schema": st.just(TELEMETRY_SCHEMA_VERSION),
    "ts": NUMBERS,
    "run_id": st.sampled_from(["first", "second"]),
    "step": st.none() | st.integers(0, 9),
}
_CRASHES: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(TrainStep, loss=st.none() | NUMBERS, lr=NUMBERS, extras=_COUNTS, **_ENVELOPE),
    st.builds(
        Eval,
        split=st.sampled_from(["train", "test"]),
        metrics=st.dictionaries(st.just("loss"), NUMBERS),
        extras=_COUNTS,
        **_ENVELOPE,
    ),
    st.builds(
        RunStart,
        config=st.just(ConfigSnapshot()),
        meta=st.dictionaries(st.just("resumed_from_step"), st.integers(-1, 9)),
        **_ENVELOPE,
    ),
    st.builds(
        Alert,
        severity=st.sampled_from(Severity),
        code=st.sampled_from(["GUARD_INIT", "GUARD_TRIGGERED", "GUARD_ROLLBACK", "part_failed"]),
        message=st.sampled_from(["one", "two"]),
        context=st.fixed_dictionaries(
            {},
            optional={
                "enabled": st.booleans(),
                "action": st.sampled_from(["drop_step", "rollback"]),
                "restored_step": st.integers(0, 9),
            },
        ),
        **_ENVELOPE,
    ),
    st.builds(UnknownEvent, event=st.just("news"), payload=_COUNTS, **_ENVELOPE),
)
CRASHED_STREAMS = st.builds(
    cut, st.lists(_CRASHES, max_size=20), st.lists(st.integers(0, 20), max_size=5)
)
"""Runs with resumes, the guard's doings, lost events and steps that were not finite."""

STREAMS = CUT_STREAMS | CRASHED_STREAMS

every_reading = pytest.mark.parametrize("reading", READINGS.values(), ids=list(READINGS))


@every_reading
@given(stream=STREAMS)
def test_a_result_does_not_depend_on_the_cuts(reading: Reading, stream: CutStream) -> None:
    assert repr(reading(stream.batches)) == repr(reading([stream.whole]))


@every_reading
@given(stream=STREAMS)
def test_nor_does_it_where_memory_is_bounded(reading: Reading, stream: CutStream) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analyzer, "MAX_RUNS_KEPT", 1)
        patch.setattr(evals, "MAX_SPLITS", 2)
        patch.setattr(nonfinite_values, "MAX_NAMES", 5)
        patch.setattr(records, "MAX_CODES_KEPT", 2)
        patch.setattr(records, "MAX_RESTORED_KEPT", 1)
        patch.setattr(lineage, "HORIZON", 2)
        patch.setattr(run_status_module, "MAX_RESUMES_KEPT", 1)
        assert repr(reading(stream.batches)) == repr(reading([stream.whole]))


@every_reading
@given(stream=STREAMS)
def test_the_input_is_not_mutated(reading: Reading, stream: CutStream) -> None:
    before = repr(stream)
    reading(stream.batches)
    assert repr(stream) == before


@given(stream=STREAMS)
def test_states_are_values(stream: CutStream) -> None:
    last_run = latest_run(combine(nonfinite(), resumed_lineage(latest_evals())))
    states = [last_run.init()]
    seen = [repr(states[0])]
    for batch in stream.batches:
        states.append(last_run.update(states[-1], batch))
        seen.append(repr(states[-1]))
    assert [repr(state) for state in states] == seen


@given(stream=STREAMS)
def test_only_the_last_run_counts(stream: CutStream) -> None:
    signals = run_signals([stream.whole])
    starts = stream.whole.run_starts()
    names = [name for _, name in starts] or [""]
    edges = [0, *(place for place, _ in starts[1:]), stream.whole.stop]
    parts = zip(names, pairwise(edges), strict=True)
    alone = run_signals([stream.whole.slice(*part) for name, part in parts if name == names[-1]])
    assert repr(signals[:-1]) == repr(alone[:-1])
    assert signals.n_runs == len({name for _, name in starts})


@given(stream=STREAMS)
def test_every_record_of_another_run_is_counted(stream: CutStream) -> None:
    run_id, foreign = None, 0
    for event in stream.events:
        if isinstance(event, RunStart) or run_id is None:
            run_id = event.run_id
        foreign += event.run_id not in (None, run_id)
    found = fold(run_status(), stream.batches)
    assert (found.run_id, found.foreign_records) == (run_id, foreign)


@given(stream=STREAMS)
def test_every_stream_has_a_report_that_can_be_written(stream: CutStream) -> None:
    report = monitor_report("run.jsonl", run_signals(stream.batches), ())
    assert msgspec.json.decode(msgspec.json.encode(report))


def lineage_of(events: tuple[AnyEvent, ...]) -> list[AnyEvent]:
    """The training steps and evaluations of the lineage, by lists: nothing is streamed."""
    kept: list[TrainStep | Eval] = []
    repeats: dict[type, int] = {TrainStep: -1, Eval: -1}
    for event in events:
        checkpoint = event.meta.get("resumed_from_step") if isinstance(event, RunStart) else None
        if isinstance(checkpoint, int) and checkpoint >= 0:
            kept = [other for other in kept if other.step is None or other.step <= checkpoint]
            for kind in repeats:
                steps = [other.step for other in kept if type(other) is kind]
                repeats[kind] = max([-1, *(step for step in steps if step is not None)])
        elif isinstance(event, TrainStep | Eval) and (
            event.step is None or not 0 <= event.step <= repeats[type(event)]
        ):
            kept.append(event)
    return [*kept]


@given(stream=STREAMS)
def test_the_lineage_is_what_a_resume_leaves(stream: CutStream) -> None:
    kept = build_batch(lineage_of(stream.events))
    loss, _ = fold(resumed_lineage(loss_summary()), stream.batches)
    assert repr(loss) == repr(fold(loss_summary(), [kept]))
    held_out, _ = fold(resumed_lineage(latest_evals()), stream.batches)
    alone = fold(latest_evals(), [kept])
    assert held_out.n_evals == alone.n_evals
    found = [(entry.split, entry.step, entry.train_loss_smoothed) for entry in held_out.splits]
    expected = [(entry.split, entry.step, entry.train_loss_smoothed) for entry in alone.splits]
    assert repr(found) == repr(expected)


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    back=st.lists(st.integers(0, 8), min_size=3, max_size=3),
    horizon=st.integers(0, 9),
)
def test_no_step_counts_twice_however_far_a_resume_goes_back(
    lengths: list[int], back: list[int], horizon: int
) -> None:
    events: list[AnyEvent] = []
    seen: set[int] = set()
    step = 0
    for length, steps_back in zip(lengths, [0, *back], strict=False):
        step = max(0, step - steps_back)
        events.append(_start(step))
        events += [_step(step + ahead) for ahead in range(1, length + 1)]
        seen |= set(range(step + 1, step + length + 1))
        step += length
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lineage, "HORIZON", horizon)
        loss, found = fold(resumed_lineage(loss_summary()), [build_batch(events)])
    assert loss.n + found.superseded + found.left_out == sum(map(_is_step, events))
    assert step <= loss.n <= len(seen)
    assert found.resumes_beyond_horizon or loss.n == step


def _is_step(event: AnyEvent) -> bool:
    return isinstance(event, TrainStep)


def _start(checkpoint: int) -> RunStart:
    return RunStart(
        schema=TELEMETRY_SCHEMA_VERSION,
        ts=0.0,
        run_id="r",
        step=None,
        config=ConfigSnapshot(),
        meta={"resumed_from_step": checkpoint},
    )


def _step(step: int) -> TrainStep:
    return TrainStep(schema=TELEMETRY_SCHEMA_VERSION, ts=0.0, run_id="r", step=step, loss=1.0)
