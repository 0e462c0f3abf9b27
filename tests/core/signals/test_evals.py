"""The latest evaluation of each split, with the training loss beside it."""

import pytest

from gradience.core.signals import evals
from gradience.core.signals.analyzer import fold
from gradience.core.signals.evals import EvalSignal, latest_evals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, train_step


def signal(*events: AnyEvent) -> EvalSignal:
    return fold(latest_evals(), [batch(*events)])


def test_the_latest_of_each_split_is_kept_in_order_of_appearance() -> None:
    found = signal(
        evaluation("test", 1, loss=3.0), evaluation("train", 1), evaluation("test", 2, loss=2.0)
    )
    assert [(entry.split, entry.step) for entry in found.splits] == [("test", 2), ("train", 1)]
    assert found.splits[0].metrics == {"loss": 2.0}
    assert found.n_evals == 3


def test_the_training_loss_is_that_before_the_evaluation() -> None:
    found = signal(
        train_step(loss=4.0), train_step(loss=2.0), evaluation("t"), train_step(loss=0.0)
    )
    assert found.splits[0].train_loss_smoothed == 3.0


def test_without_a_loss_before_it_there_is_none() -> None:
    assert signal(evaluation("t"), train_step(loss=1.0)).splits[0].train_loss_smoothed is None


@pytest.mark.parametrize(
    "event",
    [evaluation("t", reward=1.0), train_step(extras={"rewards/chosen": 1.0})],
)
def test_reward_metrics_are_noticed(event: AnyEvent) -> None:
    assert signal(event).reward_metrics
    assert not signal(evaluation("t", loss=1.0), train_step(extras={"note": 1})).reward_metrics


def test_splits_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evals, "MAX_SPLITS", 2)
    found = signal(*[evaluation(name) for name in ("a", "b", "c", "a")])
    assert [entry.split for entry in found.splits] == ["a", "b"]
    assert (found.splits_dropped, found.n_evals) == (1, 4)
