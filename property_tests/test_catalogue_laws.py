"""No record makes a condition fail: any numbers, in any order, with anything missing."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gradience.core.config.snapshot import ConfigSnapshot, OptimizerSnapshot, TrainingSnapshot
from gradience.core.monitoring.conditions.catalogue import ConditionPolicies, condition_alerts
from gradience.core.signals.batch import build_batch
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    AnyEvent,
    Eval,
    RunStart,
    TrainStep,
)

VALUES = st.none() | st.floats() | st.sampled_from([0.0, -1.0, 1e-4, 1.0, 2.0, math.log(2)])
STEPS = st.none() | st.integers(-2, 60) | st.just(2**62)
COMMON = {"schema": st.just(TELEMETRY_SCHEMA_VERSION), "run_id": st.just("r"), "step": STEPS}
TIMES = st.floats(0, 1e4) | st.floats()

TRAIN = st.builds(
    TrainStep, ts=TIMES, loss=VALUES, lr=VALUES, grad_norm=VALUES, epoch=VALUES, **COMMON
)
EVALS = st.builds(
    Eval,
    ts=TIMES,
    split=st.sampled_from(["eval", "test", "train", "a", "b"]),
    metrics=st.dictionaries(st.sampled_from(["loss", "accuracy", "ppl", "epoch"]), VALUES),
    **COMMON,
)
STARTS = st.builds(
    RunStart,
    ts=TIMES,
    config=st.builds(
        ConfigSnapshot,
        optimizer=st.builds(OptimizerSnapshot, lr=VALUES, name=st.none() | st.just("adamw")),
        training=st.builds(
            TrainingSnapshot, max_steps=st.none() | st.integers(-1, 80), epochs=VALUES
        ),
    ),
    **COMMON,
)


@st.composite
def flat_runs(draw: st.DrawFn) -> list[AnyEvent]:
    """Few values over many rows, which is where medians and spreads of nothing are."""
    pool = draw(st.lists(VALUES, min_size=1, max_size=3))
    n = draw(st.integers(0, 70))
    columns = [[draw(st.sampled_from(pool)) for _ in range(n)] for _ in range(3)]
    return [
        TrainStep(
            schema=TELEMETRY_SCHEMA_VERSION,
            ts=float(row),
            run_id="r",
            step=row,
            loss=loss,
            lr=lr,
            grad_norm=norm,
        )
        for row, (loss, lr, norm) in enumerate(zip(*columns, strict=True))
    ]


EVENTS: st.SearchStrategy[AnyEvent] = st.one_of(TRAIN, EVALS, STARTS)
EVALUATIONS: st.SearchStrategy[AnyEvent] = st.one_of(EVALS)
RUNS = st.lists(EVENTS, max_size=70) | st.lists(EVALUATIONS, max_size=40) | flat_runs()


@given(RUNS)
def test_no_record_makes_a_condition_fail(events: list[AnyEvent]) -> None:
    signals = run_signals([build_batch(events)])
    codes = [alert.code for alert in condition_alerts(signals, ConditionPolicies())]
    assert "condition_failed" not in codes
    assert len(codes) == len(set(codes))
