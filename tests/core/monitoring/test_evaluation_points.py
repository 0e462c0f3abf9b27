"""Evaluations as points, and which splits are held out."""

import math

import numpy as np

from gradience.core.monitoring.evaluation_points import HeldOut, eval_points, held_out
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.signals.batch import NO_STEP
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, decoded, evaluation, train_step


def chosen(*events: AnyEvent) -> HeldOut:
    return held_out(run_signals([batch(*events)]).eval_histories, GapPolicy())


def test_points_are_the_finite_losses_and_the_last_of_a_step_counts() -> None:
    events = [
        train_step(5, loss=4.0),
        evaluation("eval", 10, loss=3.0),
        evaluation("eval", 20, loss=math.nan),
        evaluation("eval", 30, loss=9.0),
        evaluation("eval", 30, loss=1.0),
        decoded("eval", split="eval", metrics={"loss": 2.0, "epoch": 3.0}, step=None),
        decoded("eval", split="eval", metrics={"loss": 2.5}, step=None),
    ]
    points = eval_points(run_signals([batch(*events)]).eval_histories[0])
    assert points is not None
    assert points.loss.tolist() == [3.0, 1.0, 2.0, 2.5]
    assert points.step.tolist() == [10, 30, NO_STEP, NO_STEP]
    assert points.epoch[2] == 3.0
    assert np.array_equal(points.train, [4.0] * 4)
    assert (points.split, points.best) == ("eval", 1)


def test_no_finite_loss_gives_no_points() -> None:
    only = run_signals([batch(evaluation("eval", 1, accuracy=0.5))]).eval_histories[0]
    assert eval_points(only) is None


def test_a_named_split_stands_for_held_out_data_before_the_newest() -> None:
    found = chosen(evaluation("test", 1, loss=1.0), evaluation("b", 2, loss=1.0))
    assert (found.main, found.is_named) == ("test", True)


def test_one_split_of_any_name_does_and_of_several_the_newest_without_certainty() -> None:
    found = chosen(evaluation("mine", 1, loss=1.0), evaluation("train", 2, loss=1.0))
    assert (found.main, found.is_named, len(found.splits)) == ("mine", True, 1)
    found = chosen(evaluation("b", 9, loss=1.0), evaluation("a", 2, loss=1.0))
    assert (found.main, found.is_named) == ("b", False)


def test_without_evaluations_nothing_does() -> None:
    assert chosen(evaluation("train", 1, loss=1.0)).main is None
    assert chosen() == HeldOut((), None, is_named=False)
