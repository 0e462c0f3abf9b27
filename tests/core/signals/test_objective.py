"""What a run optimises: by its configuration, else by the names of its numbers."""

from collections.abc import Mapping

import msgspec
import pytest

from gradience.core.config.snapshot import ConfigSnapshot, LoraSnapshot, TrainingSnapshot
from gradience.core.signals.analyzer import fold
from gradience.core.signals.objective import Objective, ObjectiveSignal, training_objective
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, run_start, train_step


def objective(*events: AnyEvent) -> ObjectiveSignal:
    return fold(training_objective(), [batch(*events)])


def configured(extras: Mapping[str, object], task: str | None = None) -> AnyEvent:
    lora = LoraSnapshot(extras={"task_type": task} if task else {})
    return run_start(config=ConfigSnapshot(training=TrainingSnapshot(extras=extras), lora=lora))


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["mean_token_accuracy", "num_tokens"], Objective.SUPERVISED),
        (["rewards/chosen", "rewards/rejected"], Objective.PREFERENCE),
        (["logps/chosen"], Objective.PREFERENCE),
        (["min_reward", "mean_reward", "max_reward"], Objective.PREFERENCE),
        (["reward", "reward_std", "rewards/my_function/mean"], Objective.REINFORCEMENT),
        (["completions/mean_length", "kl"], Objective.REINFORCEMENT),
        (["objective/kl", "policy/approxkl_avg"], Objective.REINFORCEMENT),
        (["actor/pg_loss", "critic/rewards/mean"], Objective.REINFORCEMENT),
        (["objective/kl", "rewards/chosen"], Objective.PREFERENCE),
        (["kl", "margin", "accuracy"], Objective.SUPERVISED),
    ],
)
def test_names_tell_the_objective(names: list[str], kind: Objective) -> None:
    found = objective(train_step(loss=0.1, extras=dict.fromkeys(names, 0.5)))
    assert found.kind is kind
    assert (found.because in names) is (kind is not Objective.SUPERVISED)


def test_names_of_an_evaluation_tell_it_too() -> None:
    metrics = {"rewards/chosen": 1.0}
    scored = msgspec.structs.replace(evaluation("eval"), metrics=metrics)
    assert objective(scored).kind is Objective.PREFERENCE


def test_the_configuration_is_believed_before_the_names() -> None:
    step = train_step(extras={"reward": 0.5})
    found = objective(configured({"objective": "DPO"}), step)
    assert (found.kind, found.because) == (Objective.PREFERENCE, "dpo")
    assert objective(configured({"objective": "news"}), step).kind is Objective.REINFORCEMENT


def test_a_plain_accuracy_of_llama_factorys_steps_is_dpos() -> None:
    start = msgspec.structs.replace(run_start(), meta={"converted_from": "llama_factory"})
    step = train_step(loss=0.6, extras={"accuracy": 0.7})
    assert objective(start, step).kind is Objective.PREFERENCE
    assert objective(run_start(), step).kind is Objective.SUPERVISED


@pytest.mark.parametrize(
    ("metrics", "labels"),
    [
        ({"loss": 1.0}, False),
        ({"accuracy": 0.5}, True),
        ({"accuracy": 0.5, "ppl": 2.0}, False),
        ({"accuracy": 0.5, "perplexity": 2.0}, False),
        ({"f1": 0.5}, True),
        ({"matthews_correlation": 0.5}, True),
        ({"mean_token_accuracy": 0.5}, False),
    ],
)
def test_evaluations_tell_whether_labels_are_scored(
    metrics: dict[str, object], *, labels: bool
) -> None:
    scored = msgspec.structs.replace(evaluation("eval"), metrics=metrics)
    assert objective(scored).classification is labels


@pytest.mark.parametrize(("task", "labels"), [("SEQ_CLS", True), ("CAUSAL_LM", False)])
def test_the_heads_task_is_believed_before_the_metrics(task: str, *, labels: bool) -> None:
    assert objective(configured({}, task), evaluation("eval", accuracy=1)).classification is labels


def test_so_is_the_configured_objective() -> None:
    assert objective(configured({"objective": "classification"})).classification
    scored = evaluation("eval", accuracy=1)
    assert not objective(configured({"objective": "sft"}), scored).classification


def test_nothing_known_is_taken_for_supervised() -> None:
    assert objective() == ObjectiveSignal()
