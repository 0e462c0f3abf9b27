"""The law of the analyzers: a result does not depend on how the stream was cut into batches."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given

from gradience.core.monitoring.report import monitor_report
from gradience.core.signals import analyzer, evals, nonfinite_values, records
from gradience.core.signals.analyzer import fold, latest_run
from gradience.core.signals.batch import Batch
from gradience.core.signals.evals import latest_evals
from gradience.core.signals.learning_rate import learning_rate_summary
from gradience.core.signals.loss import loss_summary
from gradience.core.signals.nonfinite_values import nonfinite_values as nonfinite
from gradience.core.signals.pipeline import run_signals
from gradience.core.signals.records import recorded
from gradience.core.signals.run_status import run_status
from gradience.core.telemetry.events import RunStart
from property_tests.events import CUT_STREAMS, CutStream

# Equality is that of repr: exact, and NaN equals NaN.

Reading = Callable[[Iterable[Batch]], object]

READINGS: Mapping[str, Reading] = {
    "evals": lambda batches: fold(latest_evals(), batches),
    "loss": lambda batches: fold(loss_summary(), batches),
    "learning_rate": lambda batches: fold(learning_rate_summary(), batches),
    "nonfinite_values": lambda batches: fold(nonfinite(), batches),
    "records": lambda batches: fold(recorded(), batches),
    "run_status": lambda batches: fold(run_status(), batches),
    "latest_run": lambda batches: fold(latest_run(loss_summary()), batches),
    "pipeline": run_signals,
}

every_reading = pytest.mark.parametrize("reading", READINGS.values(), ids=list(READINGS))


@every_reading
@given(stream=CUT_STREAMS)
def test_a_result_does_not_depend_on_the_cuts(reading: Reading, stream: CutStream) -> None:
    assert repr(reading(stream.batches)) == repr(reading([stream.whole]))


@every_reading
@given(stream=CUT_STREAMS)
def test_nor_does_it_where_memory_is_bounded(reading: Reading, stream: CutStream) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analyzer, "MAX_RUNS_KEPT", 1)
        patch.setattr(evals, "MAX_SPLITS", 2)
        patch.setattr(nonfinite_values, "MAX_NAMES", 5)
        patch.setattr(records, "MAX_ALERTS_KEPT", 2)
        assert repr(reading(stream.batches)) == repr(reading([stream.whole]))


@every_reading
@given(stream=CUT_STREAMS)
def test_the_input_is_not_mutated(reading: Reading, stream: CutStream) -> None:
    before = repr(stream)
    reading(stream.batches)
    assert repr(stream) == before


@given(stream=CUT_STREAMS)
def test_states_are_values(stream: CutStream) -> None:
    last_run = latest_run(nonfinite())
    states = [last_run.init()]
    seen = [repr(states[0])]
    for batch in stream.batches:
        states.append(last_run.update(states[-1], batch))
        seen.append(repr(states[-1]))
    assert [repr(state) for state in states] == seen


@given(stream=CUT_STREAMS)
def test_only_the_last_run_counts(stream: CutStream) -> None:
    signals = run_signals([stream.whole])
    starts = stream.whole.run_starts()
    names = [name for _, name in starts] or [""]
    edges = [0, *(place for place, _ in starts[1:]), stream.whole.stop]
    parts = zip(names, pairwise(edges), strict=True)
    alone = run_signals([stream.whole.slice(*part) for name, part in parts if name == names[-1]])
    assert repr(signals[:-1]) == repr(alone[:-1])
    assert signals.n_runs == len({name for _, name in starts})


@given(stream=CUT_STREAMS)
def test_every_record_of_another_run_is_counted(stream: CutStream) -> None:
    run_id, foreign = None, 0
    for event in stream.events:
        if isinstance(event, RunStart) or run_id is None:
            run_id = event.run_id
        foreign += event.run_id not in (None, run_id)
    found = fold(run_status(), stream.batches)
    assert (found.run_id, found.foreign_records) == (run_id, foreign)


@given(stream=CUT_STREAMS)
def test_every_stream_has_a_report_that_can_be_written(stream: CutStream) -> None:
    report = monitor_report("run.jsonl", run_signals(stream.batches), ())
    assert msgspec.json.decode(msgspec.json.encode(report))
