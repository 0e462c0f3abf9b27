"""The contract's snapshot of a run's signals."""

import math

import pytest

from gradience.core.monitoring.signals import signal_snapshot
from gradience.core.signals.batch import build_batch
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.events import AnyEvent

BUILD = EventBuilder(run_id="r")


def signals_of(*events: AnyEvent) -> RunSignals:
    return run_signals([build_batch(events)])


def step(loss: float) -> AnyEvent:
    return BUILD.train_step(1.0, 1, loss=loss, lr=None, grad_norm=None, epoch=None, extras={})


def test_held_out_perplexity_is_worked_out_from_its_loss() -> None:
    snapshot = signal_snapshot(signals_of(step(1.0), BUILD.eval(1.0, 1, "eval", {"loss": 2.0}, {})))
    assert snapshot.test.ppl == pytest.approx(math.exp(2.0))
    assert snapshot.train.ppl == pytest.approx(math.e)
    assert snapshot.gap == pytest.approx(math.e)
    assert snapshot.extras["train_estimated"] is True


def test_no_perplexity_is_claimed_beside_rewards() -> None:
    metrics = {"loss": 0.7, "rewards/margins": 0.1}
    snapshot = signal_snapshot(signals_of(step(0.7), BUILD.eval(1.0, 1, "eval", metrics, {})))
    assert (snapshot.gap, snapshot.test.ppl, snapshot.train.ppl) == (None, None, None)


def test_ranks_come_from_the_latest_audit_on_record() -> None:
    first = BUILD.metrics(1.0, 1, "lora_audit", {"stable_rank_mean": 1.0, "n_layers": 2}, {})
    last = BUILD.metrics(2.0, 2, "lora_audit", {"stable_rank_mean": 3.0, "n_layers": 2}, {})
    assert signal_snapshot(signals_of(first, last)).stable_rank_mean == 3.0


def test_an_audit_of_no_layer_found_no_rank() -> None:
    event = BUILD.metrics(1.0, 1, "lora_audit", {"stable_rank_mean": 0.0, "n_layers": 0}, {})
    assert signal_snapshot(signals_of(event)).stable_rank_mean is None


def test_a_run_without_anything_has_no_signals() -> None:
    snapshot = signal_snapshot(signals_of())
    assert (snapshot.gap, snapshot.train.loss, snapshot.test.loss) == (None, None, None)
