"""The evaluations of a run in a few numbers, and the checkpoint to keep."""

import math

import msgspec
import pytest

from gradience.core.monitoring.evaluation_summary import (
    Evaluations,
    EvaluationSummary,
    StopPolicy,
    summarise_evaluations,
)
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation


def summary(*events: AnyEvent, policy: StopPolicy | None = None) -> Evaluations:
    return summarise_evaluations(run_signals([batch(*events)]).eval_histories, policy)


def main(*losses: float, policy: StopPolicy | None = None) -> EvaluationSummary:
    events = [evaluation("eval", 10 * row, loss=loss) for row, loss in enumerate(losses, 1)]
    found = summary(*events, policy=policy).main
    assert found is not None
    return found


def test_best_and_last_with_their_steps() -> None:
    found = main(2.0, 1.0, 1.25, 1.5)
    assert (found.n, found.best_loss, found.best_step) == (4, 1.0, 20)
    assert (found.last_loss, found.last_step, found.last_is_best) == (1.5, 40, False)
    assert (found.since_best, found.rise, found.rise_share) == (2, 0.5, 0.5)


def test_the_epoch_of_the_best_and_the_best_accuracy_are_told() -> None:
    events = [
        evaluation("eval", 1, loss=2.0, accuracy=0.9, epoch=0.5),
        evaluation("eval", 2, loss=1.0, accuracy=0.8, epoch=1.0),
    ]
    found = summary(*events).main
    assert found is not None
    assert (found.best_epoch, found.best_accuracy, found.best_accuracy_step) == (1.0, 0.9, 1)


def test_stop_here_names_the_checkpoint_and_why() -> None:
    hint = main(2.0, 1.0, 1.25, 1.5).stop_here
    assert hint is not None
    assert (hint.split, hint.step) == ("eval", 20)
    assert hint.words.startswith("keep the checkpoint of step 20: its eval loss, 1, is the best")
    assert "2 evaluations since then did not reach it (the last: 1.5)" in hint.words


@pytest.mark.parametrize("losses", [(2.0, 1.0), (2.0, 1.0, 1.5), (2.0, 1.0, 1.01, 1.01), (1.0,)])
def test_no_hint_where_the_best_is_near(losses: tuple[float, ...]) -> None:
    assert main(*losses).stop_here is None


def test_a_hint_without_a_known_step_counts_the_evaluations() -> None:
    events = [
        msgspec.structs.replace(evaluation("eval", 1, loss=loss), step=None)
        for loss in (2.0, 1.0, 1.5, 1.5)
    ]
    found = summary(*events).main
    assert found is not None
    assert found.stop_here is not None
    assert found.stop_here.step is None
    assert "of evaluation 2" in found.stop_here.words


def test_the_policy_says_how_patient_to_be() -> None:
    assert main(2.0, 1.0, 1.5, policy=StopPolicy(patience=1)).stop_here is not None
    assert main(2.0, 1.0, 1.5, 1.5, policy=StopPolicy(rise=0.6)).stop_here is None


def test_every_held_out_split_has_a_summary_and_the_training_one_none() -> None:
    found = summary(*(evaluation(split, 1, loss=1.0) for split in ("b", "test", "train")))
    assert [item.split for item in found.splits] == ["b", "test"]
    assert found.main is not None
    assert found.main.split == "test"


def test_without_finite_losses_only_the_count_is_told() -> None:
    found = summary(evaluation("eval", 1, loss=math.nan, accuracy=0.5)).main
    assert found == EvaluationSummary(split="eval", n=1, best_accuracy=0.5, best_accuracy_step=1)


def test_without_evaluations_there_is_nothing() -> None:
    assert summary() == Evaluations()


def test_a_loss_at_zero_or_below_has_no_share() -> None:
    assert main(-1.0, 0.0, 0.0).rise_share is None
