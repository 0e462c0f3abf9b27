"""The gap of a run: not claimed where losses are not comparable, doubted where it may mislead."""

import math

import msgspec
import pytest

from gradience.core.config.snapshot import ConfigSnapshot, TrainingSnapshot
from gradience.core.monitoring.gap import Gap
from gradience.core.monitoring.run_gap import run_gap
from gradience.core.monitoring.signals import signal_snapshot
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, run_start, train_step


def gap(*events: AnyEvent) -> Gap:
    return run_gap(run_signals([batch(*events)]))


def pair(step: int, train: float, held_out: float) -> list[AnyEvent]:
    """Ten training losses and an evaluation."""
    rows = [train_step(step - 9 + row, loss=train) for row in range(10)]
    return [*rows, evaluation("eval", step, loss=held_out)]


def test_a_plain_run_has_an_undoubted_gap() -> None:
    found = gap(*pair(10, 1.0, 2.0))
    assert (found.value, found.doubt) == (math.e, None)


@pytest.mark.parametrize("name", ["rewards/chosen", "completions/length"])
def test_other_objectives_have_none(name: str) -> None:
    found = gap(train_step(1, loss=0.1, extras={name: 1.0}), evaluation("eval", 1, loss=0.5))
    assert found.value is None
    assert "is no cross-entropy" in (found.reason or "")


def test_a_configured_objective_is_named_in_the_reason() -> None:
    configured = ConfigSnapshot(training=TrainingSnapshot(extras={"objective": "dpo"}))
    found = gap(run_start(config=configured), *pair(10, 0.1, 0.5))
    assert (
        found.reason == "this is preference learning (dpo): its training loss is no cross-entropy"
    )


def test_a_training_loss_far_above_is_another_quantity() -> None:
    found = gap(*pair(10, 284.0, 15.0), *pair(20, 5.0, 0.3))
    assert found.value is None
    assert "even the smallest logged training loss (5) is 16.7 x" in (found.reason or "")
    assert gap(*pair(10, 1.9, 1.0)).value is not None


def test_a_loss_that_only_started_high_is_compared() -> None:
    late = [train_step(step, loss=1.0) for step in range(2, 5)]
    found = gap(train_step(1, loss=20.0), *late, evaluation("eval", 5, loss=2.0))
    assert found.value is not None


def test_a_negative_loss_is_no_cross_entropy() -> None:
    assert gap(*pair(10, -0.5, 0.2)).reason == "a loss is negative: it is no cross-entropy"
    assert gap(*pair(10, 0.5, -0.2)).reason == "a loss is negative: it is no cross-entropy"


def test_one_of_several_unnamed_sets_is_doubted() -> None:
    events = [*pair(10, 0.1, 2.0), train_step(11)]
    renamed = [
        msgspec.structs.replace(e, split=split)
        for split in ("a", "b")
        for e in [evaluation("eval", 10, loss=2.0)]
    ]
    found = gap(*events[:10], *renamed)
    assert found.value is not None
    assert "'b' is one of 2 evaluation sets" in (found.doubt or "")
    named = gap(*events[:10], *renamed, evaluation("test", 10, loss=2.0))
    assert (named.held_out_split, named.doubt) == ("test", None)


def test_scored_labels_are_doubted_unless_a_perplexity_was_logged() -> None:
    labels = gap(train_step(1, loss=0.1), evaluation("eval", 1, loss=2.0, f1=0.5))
    assert "labels are scored" in (labels.doubt or "")
    tokens = gap(train_step(1, loss=0.1), evaluation("eval", 1, loss=2.0, ppl=7.4, accuracy=0.5))
    assert tokens.doubt is None


def test_label_smoothing_is_doubted() -> None:
    training = TrainingSnapshot(extras={"label_smoothing_factor": 0.1})
    found = gap(run_start(config=ConfigSnapshot(training=training)), *pair(10, 1.0, 2.0))
    assert found.doubt == "the losses hold a label smoothing of 0.1"


def test_a_fixed_multiple_is_a_difference_of_scale() -> None:
    scaled = [
        event
        for step, loss in ((10, 4.0), (20, 3.0), (30, 2.0))
        for event in pair(step, loss / 8, loss)
    ]
    assert "has been 8 x the training loss" in (gap(*scaled).doubt or "")
    grows = [*pair(10, 2.0, 2.2), *pair(20, 1.0, 1.6), *pair(30, 0.3, 1.5)]
    assert gap(*grows).doubt is None
    rests = [event for step in (10, 20, 30) for event in pair(step, 0.5, 2.0)]
    assert gap(*rests).doubt is None


def test_no_gap_keeps_its_reason() -> None:
    assert gap().reason == "no evaluation of held-out data was logged"
    assert gap(train_step(1, loss=1.0)).reason == gap().reason


def test_a_loss_of_another_quantity_has_no_perplexity() -> None:
    summed = [train_step(step, loss=16.0 * (3.0 - step / 10)) for step in range(10)]
    found = run_signals([batch(*summed, evaluation("eval", step=9, loss=2.1))])
    assert not run_gap(found).same_quantity
    snapshot = signal_snapshot(found)
    assert snapshot.train.ppl is None
    assert snapshot.train.loss is not None
    assert snapshot.test.ppl is not None


def test_a_loss_above_that_of_guessing_is_no_cross_entropy() -> None:
    found = gap(*pair(10, 4e4, 6e4))
    assert found.value is None
    assert "more than guessing costs with any vocabulary" in (found.reason or "")


@pytest.mark.parametrize(
    ("metric", "doubted"), [("rmse", True), ("spearmanr", True), ("wer", False)]
)
def test_predicted_numbers_have_no_perplexity(metric: str, *, doubted: bool) -> None:
    rows = [train_step(step, loss=0.3) for step in range(1, 11)]
    found = gap(*rows, evaluation("eval", 10, loss=1.2, **{metric: 1.1}))
    assert found.value == pytest.approx(math.exp(0.9))
    assert (found.doubt is not None) == doubted
