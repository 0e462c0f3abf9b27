"""Evaluations as points to plot."""

import numpy as np

from gradience.core.monitoring.conditions.eval_series import eval_series, split_name
from gradience.core.monitoring.evaluation_points import EvalPoints
from gradience.core.signals.batch import NO_STEP


def points(split: str) -> EvalPoints:
    return EvalPoints(
        split=split,
        step=np.array([NO_STEP, 5]),
        epoch=np.array([np.nan, 1.0]),
        loss=np.array([2.0, 1.0]),
        train=np.array([np.nan, 3.0]),
        best=1,
    )


def test_unknown_steps_and_values_are_none() -> None:
    losses, train = eval_series([points("eval")])
    assert (losses.name, losses.step, losses.value) == ("eval_loss", (None, 5), (2.0, 1.0))
    assert train.value == (None, 3.0)


def test_only_the_first_splits_are_shown_with_one_training_loss() -> None:
    names = [series.name for series in eval_series([points(name) for name in "abcdef"])]
    assert names == [*(f"eval_{name}_loss" for name in "abcd"), "train_loss_smoothed"]


def test_a_split_is_called_by_its_name() -> None:
    assert (split_name("eval"), split_name("b")) == ("the evaluation loss", "the loss on 'b'")
