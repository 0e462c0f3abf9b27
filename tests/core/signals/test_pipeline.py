"""One pass feeds every analyzer, over the last run."""

from gradience.core.signals.pipeline import run_signals
from gradience.core.signals.run_status import RunSignal
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import (
    alert,
    batch,
    evaluation,
    run_start,
    train_step,
)

INF = float("inf")


def test_every_analyzer_sees_the_last_run_only() -> None:
    first: list[AnyEvent] = [
        run_start("a"),
        train_step(1, loss=9.0),
        evaluation("train"),
        alert("x"),
    ]
    last: list[AnyEvent] = [run_start("b"), train_step(loss=2.0, lr=0.1, grad_norm=INF)]
    found = run_signals([batch(*first, *last)])
    assert (found.n_runs, found.run.run_id, found.loss.max) == (2, "b", 2.0)
    assert (found.learning_rate.peak, found.evals.n_evals) == (0.1, 0)
    assert [count.name for count in found.nonfinite.counts] == ["grad_norm"]
    assert found.records.alerts == ()


def test_no_batch_is_no_run() -> None:
    found = run_signals([])
    assert (found.n_runs, found.run, found.loss.n) == (0, RunSignal(), 0)
