"""Laws of the conditions of evaluations and speed, and of what they are read from.

A rise injected at a random place is found, and what is found of real runs that are well is
nothing.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shared_data import SHARED, needs_shared_data

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.extreme_lr import find_extreme_lr
from gradience.core.monitoring.conditions.lr_discontinuity import find_lr_discontinuity
from gradience.core.monitoring.conditions.overfitting import find_overfitting
from gradience.core.monitoring.conditions.throughput_drop import find_throughput_drop
from gradience.core.monitoring.conditions.unstable_eval import find_unstable_eval
from gradience.core.monitoring.evaluation_summary import summarise_evaluations
from gradience.core.monitoring.run_gap import run_gap
from gradience.core.severity import Severity
from gradience.core.signals.analyzer import fold
from gradience.core.signals.batch import Batch, Floats, build_batch
from gradience.core.signals.objective import training_objective
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.signals.progress import training_progress
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    AnyEvent,
    Eval,
    Metrics,
    RunStart,
    TrainStep,
)
from gradience.shell.telemetry.run_log import open_run_log
from property_tests.events import CONFIGS, CUT_STREAMS, NUMBERS, CutStream, cut

# --- what every stream has ---------------------------------------------------------------------

READINGS: Mapping[str, Callable[[Iterable[Batch]], object]] = {
    "progress": lambda batches: fold(training_progress(), batches),
    "objective": lambda batches: fold(training_objective(), batches),
}

_TOLD: st.SearchStrategy[Mapping[str, object]] = st.dictionaries(
    st.sampled_from(
        [
            "num_tokens",
            "total_steps",
            "throughput",
            "train_speed(s/it)",
            "train_steps_per_second",
            "rewards/chosen",
            "reward_std",
            "accuracy",
        ]
    ),
    st.integers(-1, 50) | NUMBERS | st.just("a word"),
    max_size=3,
)
_ENVELOPE = {
    "schema": st.just(TELEMETRY_SCHEMA_VERSION),
    "ts": st.floats(0, 99) | NUMBERS,
    "run_id": st.just("r"),
    "step": st.none() | st.integers(-1, 20),
}
_META = st.sampled_from([{}, {"clock": "none"}, {"converted_from": "llama_factory"}])
_EVENTS: st.SearchStrategy[list[AnyEvent]] = st.lists(
    st.one_of(
        st.builds(TrainStep, epoch=st.none() | NUMBERS, extras=_TOLD, **_ENVELOPE),
        st.builds(Eval, split=st.just("eval"), metrics=_TOLD, **_ENVELOPE),
        st.builds(Metrics, kind=st.just("train_summary"), metrics=_TOLD, **_ENVELOPE),
        st.builds(RunStart, config=CONFIGS, meta=_META, **_ENVELOPE),
    ),
    max_size=16,
)
TIMED = st.builds(cut, _EVENTS, st.lists(st.integers(0, 16), max_size=5))


@pytest.mark.parametrize("reading", READINGS.values(), ids=list(READINGS))
@given(stream=TIMED | CUT_STREAMS)
def test_a_result_does_not_depend_on_the_cuts(
    reading: Callable[[Iterable[Batch]], object], stream: CutStream
) -> None:
    assert repr(reading(stream.batches)) == repr(reading([stream.whole]))


def conditions(signals: RunSignals) -> Iterator[MonitorAlert]:
    yield from find_overfitting(signals)
    yield from find_unstable_eval(signals)
    yield from find_lr_discontinuity(signals)
    yield from find_extreme_lr(signals)
    yield from find_throughput_drop(signals)


@given(stream=TIMED | CUT_STREAMS)
def test_every_stream_is_judged_and_the_judgement_can_be_written(stream: CutStream) -> None:
    signals = run_signals([stream.whole])
    found = [*conditions(signals)]
    report = (found, summarise_evaluations(signals.eval_histories), run_gap(signals))
    assert msgspec.json.decode(msgspec.json.encode((report, signals.progress)))
    assert len({alert.code for alert in found}) == len(found)
    for alert in found:
        assert json.dumps(dict(alert.context))
        assert all(len(series.step) == len(series.value) for series in alert.series)
        assert alert.source
        assert alert.message


# --- evaluations -------------------------------------------------------------------------------


def eval_signals(losses: Iterable[float], train: Iterable[float]) -> RunSignals:
    envelope = {"schema": TELEMETRY_SCHEMA_VERSION, "ts": 0.0, "run_id": "r"}
    events: list[AnyEvent] = []
    for place, (held_out, trained) in enumerate(zip(losses, train, strict=True), 1):
        rows = range(100 * (place - 1) + 10, 100 * place + 1, 10)
        events += [
            msgspec.convert(
                {**envelope, "event": "train_step", "step": s, "loss": trained}, TrainStep
            )
            for s in rows
        ]
        record = {**envelope, "event": "eval", "step": 100 * place, "split": "eval"}
        events.append(msgspec.convert({**record, "metrics": {"loss": held_out}}, Eval))
    return run_signals([build_batch(events)])


LEARNING = st.builds(
    lambda n, floor, noise, seed: (
        (floor + (3 - floor) * np.exp(-4 * np.arange(n) / n))
        * np.exp(noise * np.random.default_rng(seed).standard_normal(n))
    ),
    n=st.integers(4, 40),
    floor=st.floats(0.3, 2.0),
    noise=st.floats(0.0, 0.01),
    seed=st.integers(0, 2**31),
)
"""Evaluation losses of a run that learns, with up to 1 % of noise."""


@given(losses=LEARNING)
def test_a_run_that_learns_has_no_warning(losses: Floats) -> None:
    signals = eval_signals(losses.tolist(), (0.9 * losses).tolist())
    assert [a.code for a in conditions(signals) if a.severity.at_least(Severity.WARNING)] == []


@given(losses=LEARNING, place=st.floats(0, 1), over=st.integers(3, 6), rise=st.floats(0.25, 1.0))
def test_a_lasting_rise_while_training_falls_is_found(
    losses: Floats, place: float, over: int, rise: float
) -> None:
    best = int(place * (losses.size - 1))
    lowest = float(losses[: best + 1].min())
    risen = [lowest * (1 + rise * (row + 1) / over) for row in range(over)]
    with_rise = [*losses[: best + 1].tolist(), *risen]
    train = (0.9 * losses[0] * np.linspace(1, 0.2, len(with_rise))).tolist()
    (alert,) = find_overfitting(eval_signals(with_rise, train))
    assert rise < 0.5 or alert.severity is Severity.WARNING
    assert alert.context["best_loss"] == lowest


@given(losses=LEARNING, place=st.floats(0, 1), bad=st.sampled_from([math.nan, math.inf]))
def test_an_evaluation_that_is_not_finite_changes_nothing_here(
    losses: Floats, place: float, bad: float
) -> None:
    given_losses = losses.tolist()
    given_losses[int(place * (losses.size - 1))] = bad
    signals = eval_signals(given_losses, (0.9 * losses).tolist())
    assert [a.code for a in conditions(signals) if a.severity.at_least(Severity.WARNING)] == []


# --- real runs ---------------------------------------------------------------------------------

HEALTHY = (
    "trainer_state/mt5_high_start",
    "trainer_state/trl_sft_tinyllama_eval",
    "trainer_state/unsloth_sft_eval",
    "trainer_state/fake_news_train_zero",
    "trainer_state/smolvlm_first_loss_spike",
    "trainer_state/trl_dpo",
    "trainer_state/trl_grpo_unsloth",
    "adapters/roberta_r2_query_ckpts/checkpoint-2400",
    "adapters/roberta_bias_all_modules_to_save",
    "adapters/gpt2_ckpts_mixed_targets/checkpoint-7500",
    "adapters/llama32_1b_r8_ckpt200",
    "adapters/qwen25_3b_r4_law",
)


EVALUATED = (
    "trainer_state/mt5_high_start",
    "trainer_state/trl_sft_tinyllama_eval",
    "adapters/roberta_r2_query_ckpts/checkpoint-2400",
    "adapters/roberta_bias_all_modules_to_save",
)
"""Those with enough evaluations to rise from."""


def events_of(log: str) -> list[AnyEvent]:
    path: Path = SHARED / log / "trainer_state.json"
    return [*open_run_log(path).iter_events()]


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.parametrize("log", HEALTHY)
def test_real_runs_that_are_well_are_silent_at_every_length_and_thinned(log: str) -> None:
    events = events_of(log)
    lengths = sorted({*np.linspace(1, len(events), 12).astype(int).tolist()})
    prefixes = [events[:length] for length in lengths]
    start, rest = events[:1], events[1:]
    thinned = [[*start, *rest[phase::every]] for every in (2, 3, 7) for phase in (0, every - 1)]
    for part in itertools.chain(prefixes, thinned):
        found = [*conditions(run_signals([build_batch(part)]))]
        told = [a.code for a in found if a.severity.at_least(Severity.WARNING)]
        assert told == [], len(part)


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.parametrize("log", EVALUATED)
@pytest.mark.parametrize("rise", [0.25, 0.5])
def test_a_rise_injected_into_real_evaluations_is_found(log: str, rise: float) -> None:
    events = events_of(log)
    places = [at for at, event in enumerate(events) if isinstance(event, Eval)]
    for first in range(len(places) // 2, len(places) - 3):
        lowest = min(_loss(events[at]) for at in places[:first])
        injected = list(events)
        for row, at in enumerate(places[first:]):
            event = events[at]
            assert isinstance(event, Eval)
            loss = lowest * (1 + rise * min((row + 1) / 3, 1))
            metrics = {**event.metrics, "loss": loss}
            injected[at] = msgspec.structs.replace(event, metrics=metrics)
        found = [*find_overfitting(run_signals([build_batch(injected)]))]
        assert [alert.severity for alert in found] == [Severity.WARNING], first


def _loss(event: AnyEvent) -> float:
    assert isinstance(event, Eval)
    loss = event.metrics["loss"]
    assert isinstance(loss, float)
    return loss
