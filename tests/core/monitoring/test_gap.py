"""The gap between held-out and training perplexity, and why there is none."""

import math

import msgspec
import pytest

from gradience.core.errors import ConfigError
from gradience.core.monitoring.gap import (
    FROM_EVAL,
    FROM_LOSS,
    FROM_OTHER_EVAL,
    EvalMetrics,
    Gap,
    GapPolicy,
    eval_metrics,
    held_out_eval,
    log_perplexity,
    perplexity,
    perplexity_gap,
)
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, train_step


def signals(*events: AnyEvent) -> RunSignals:
    return run_signals([batch(*events)])


def gap(*events: AnyEvent, policy: GapPolicy | None = None) -> Gap:
    found = signals(*events)
    return perplexity_gap(found.evals, found.loss, policy or GapPolicy())


def test_the_gap_of_two_logged_perplexities_is_their_plain_ratio() -> None:
    found = gap(evaluation("train", 7, ppl=2.0, loss=0.693), evaluation("test", 7, ppl=3.0))
    assert (found.value, found.estimated, found.train_source) == (1.5, False, "eval")
    assert (found.held_out_split, found.held_out_step) == ("test", 7)
    assert found.log == pytest.approx(math.log(1.5))


def test_a_train_evaluation_of_another_step_gives_way_to_the_smoothed_loss() -> None:
    train, test = evaluation("train", 5, loss=0.0), evaluation("test", 9, loss=2.0)
    found = gap(train, train_step(9, loss=1.0), test)
    assert (found.value, found.estimated, found.train_source) == (math.e, True, FROM_LOSS)


def test_without_a_loss_a_train_evaluation_of_another_step_is_an_estimate() -> None:
    found = gap(evaluation("train", 5, ppl=2.0), evaluation("test", 9, ppl=3.0))
    assert (found.value, found.estimated, found.train_source) == (1.5, True, FROM_OTHER_EVAL)


@pytest.mark.parametrize(("train", "test"), [(7, 7), (None, 7), (7, None), (None, None)])
def test_a_train_evaluation_of_the_same_or_an_unknown_step_is_exact(
    train: int | None, test: int | None
) -> None:
    events = [
        msgspec.structs.replace(evaluation("train", ppl=2.0), step=train),
        msgspec.structs.replace(evaluation("test", ppl=3.0), step=test),
    ]
    found = gap(train_step(loss=0.0), *events)
    assert (found.value, found.estimated, found.train_source) == (1.5, False, FROM_EVAL)


def test_a_threshold_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gap threshold: expected a number, found NaN"):
        GapPolicy(threshold=math.nan)
    assert GapPolicy(threshold=math.inf).threshold == math.inf


def test_losses_give_the_gap_where_perplexities_are_missing() -> None:
    assert gap(evaluation("train", loss=1.0), evaluation("test", loss=2.0)).value == math.e


def test_the_smoothed_training_loss_stands_in_and_is_called_an_estimate() -> None:
    found = gap(train_step(loss=1.0), evaluation("eval", loss=2.0), train_step(loss=0.0))
    assert (found.value, found.estimated) == (math.e, True)
    assert found.train_source == "smoothed training loss"


@pytest.mark.parametrize("ppl", [-1.0, 0.0, math.inf, math.nan])
def test_an_impossible_perplexity_gives_way_to_the_loss(ppl: float) -> None:
    train, test = evaluation("train", ppl=2.0, loss=1.0), evaluation("test", ppl=3.0, loss=2.0)
    above = gap(evaluation("train", ppl=math.e), evaluation("test", ppl=ppl, loss=2.0))
    below = gap(evaluation("train", ppl=ppl, loss=1.0), evaluation("test", ppl=math.e**2))
    assert above.value == pytest.approx(math.e)
    assert below.value == pytest.approx(math.e)
    assert gap(train, test).value == 1.5


def test_a_gap_beyond_the_floats_is_infinite_and_its_log_is_not() -> None:
    found = gap(evaluation("train", loss=0.0), evaluation("test", loss=1e4))
    assert (found.value, found.log) == (math.inf, 1e4)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([train_step(loss=1.0)], "no evaluation of held-out data was logged"),
        ([evaluation("train", loss=1.0)], "no evaluation of held-out data was logged"),
        ([evaluation("test", loss=math.nan)], "the evaluation of split 'test' has no finite loss"),
        ([evaluation("test", loss=1.0)], "no finite training loss was logged before"),
        ([evaluation("test", loss=1.0, reward=0.5)], "its training loss is no cross-entropy"),
    ],
)
def test_no_gap_is_a_result_with_a_reason(events: list[AnyEvent], reason: str) -> None:
    found = gap(*events)
    assert found.value is None
    assert reason in (found.reason or "")


def test_held_out_splits_are_taken_by_name_before_the_newest() -> None:
    events = [evaluation("test", 1, loss=1.0), evaluation("eval", 2, loss=1.0)]
    chosen = held_out_eval(signals(*events).evals, GapPolicy())
    assert chosen is not None
    assert chosen.split == "test"


def test_else_the_newest_split_that_is_not_train_is_held_out() -> None:
    events = [evaluation("b", 1), evaluation("a", 2), evaluation("train", 3)]
    chosen = held_out_eval(signals(*events).evals, GapPolicy())
    assert chosen is not None
    assert chosen.split == "a"


def test_the_policy_names_the_held_out_splits() -> None:
    policy = GapPolicy(held_out_splits=("mine",))
    events: list[AnyEvent] = [evaluation("mine", loss=1.0), evaluation("test", loss=2.0)]
    assert gap(train_step(loss=1.0), *events, policy=policy).held_out_split == "mine"


def test_metrics_are_sorted_into_the_four_and_the_rest() -> None:
    found = eval_metrics({"loss": 1, "perplexity": 2.0, "n": True, "accuracy": "high", "f1": 0.5})
    extras = {"n": True, "accuracy": "high", "f1": 0.5}
    assert found == EvalMetrics(loss=1.0, ppl=2.0, extras=extras)


def test_of_two_names_for_one_metric_the_first_counts() -> None:
    assert eval_metrics({"ppl": 2.0, "perplexity": 3.0}).extras == {"perplexity": 3.0}


def test_perplexity_is_the_exponential_and_never_overflows() -> None:
    assert perplexity(None) is None
    assert perplexity(0.0) == 1.0
    assert perplexity(1e9) == math.inf
    assert log_perplexity(EvalMetrics()) is None


def test_a_training_loss_far_above_the_held_out_one_is_another_quantity() -> None:
    found = gap(train_step(loss=284.0), train_step(loss=5.0), evaluation("eval", loss=0.3))
    assert found.value is None
    assert "the smallest logged training loss (5) is 16.7 x the held-out one" in (
        found.reason or ""
    )
    apart = GapPolicy(train_above=20.0)
    assert gap(train_step(loss=5.0), evaluation("eval", loss=0.3), policy=apart).value is not None


def test_an_evaluation_of_the_training_split_is_the_same_quantity() -> None:
    assert gap(evaluation("train", loss=5.0), evaluation("eval", loss=0.3)).value is not None


@pytest.mark.parametrize(("train", "test"), [(-0.5, 0.2), (0.5, -0.2)])
def test_a_negative_loss_is_no_cross_entropy(train: float, test: float) -> None:
    found = gap(train_step(loss=train), evaluation("eval", loss=test))
    assert found.reason == "a loss is negative: it is no cross-entropy"
