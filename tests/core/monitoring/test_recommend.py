"""Recommendations of the monitor: hypotheses with what would refute them."""

import pytest

from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot
from gradience.core.monitoring.alerts import MonitorPolicy
from gradience.core.monitoring.gap import perplexity_gap
from gradience.core.monitoring.recommend import recommend
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import AnyEvent, Recommendation
from tests.core.telemetry.sample_events import batch, evaluation, metrics, run_start, train_step

AUDIT = {"suggested_r_global_90": 4, "n_layers": 2}


def advice(*events: AnyEvent, policy: MonitorPolicy | None = None) -> dict[str, Recommendation]:
    found, policy = run_signals([batch(*events)]), policy or MonitorPolicy()
    gap = perplexity_gap(found.evals, found.loss, policy.gap)
    return {item.action: item for item in recommend(found, gap, policy)}


def with_rank(rank: int) -> AnyEvent:
    return run_start(config=ConfigSnapshot(lora=LoraSnapshot(r=rank)))


def test_a_wide_gap_is_called_memorization_with_less_confidence_in_an_estimate() -> None:
    exact = advice(evaluation("train", ppl=2.0), evaluation("test", ppl=4.0))
    estimate = advice(train_step(loss=0.0), evaluation("test", ppl=4.0))
    assert exact["memorization_detected"].confidence == 0.6
    assert estimate["memorization_detected"].confidence == 0.4


def test_a_gap_at_the_threshold_is_let_be() -> None:
    assert advice(evaluation("train", ppl=2.0), evaluation("test", ppl=3.0)) == {}


def test_training_without_an_evaluation_is_advised_to_evaluate() -> None:
    assert "eval_strategy" in advice(train_step(loss=1.0))["log_train_test_ppl"].message
    assert advice(run_start()) == {}


@pytest.mark.parametrize(("rank", "advised"), [(16, True), (8, True), (7, False), (4, False)])
def test_a_rank_of_twice_the_need_can_be_cut(rank: int, advised: bool) -> None:  # noqa: FBT001
    found = advice(with_rank(rank), metrics("lora_audit", AUDIT))
    assert ("compress_rank" in found) is advised


@pytest.mark.parametrize("audit", [{"suggested_r_global_90": 4, "n_layers": 0}, {"n_layers": 2}])
def test_an_audit_that_says_nothing_gives_no_advice(audit: dict[str, object]) -> None:
    assert advice(with_rank(64), metrics("lora_audit", audit)) == {}


def test_every_recommendation_names_what_would_refute_it() -> None:
    found = advice(
        with_rank(64),
        metrics("lora_audit", AUDIT),
        evaluation("train", ppl=2.0),
        evaluation("test", ppl=4.0),
    )
    assert len(found) == 2
    assert all(item.refuted_by and item.evidence["source"] for item in found.values())
    assert advice(train_step(loss=1.0))["log_train_test_ppl"].evidence["source"]


def test_confidences_are_the_policys() -> None:
    policy = MonitorPolicy(evaluate_confidence=0.3, compress_confidence=0.2)
    found = advice(with_rank(64), metrics("lora_audit", AUDIT), train_step(loss=1.0), policy=policy)
    confidences = {action: item.confidence for action, item in found.items()}
    assert confidences == {"log_train_test_ppl": 0.3, "compress_rank": 0.2}


def test_reinforcement_learning_has_no_perplexity_to_log() -> None:
    assert advice(train_step(1, loss=0.1, extras={"reward_std": 0.2})) == {}
