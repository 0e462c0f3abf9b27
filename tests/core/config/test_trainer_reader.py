"""A training_args.json on disk gets the defaults of the trainer that it belongs to."""

import pytest

from gradience.core.checking.catalogue import find_rule
from gradience.core.checking.check import ALL_RULES, check_config
from gradience.core.config.defaults import default_source
from gradience.core.config.trainer_arguments import TRAINER
from gradience.core.config.trainer_reader import training_file_snapshot
from gradience.core.severity import Severity


@pytest.mark.parametrize(
    ("raw", "lr", "tool"),
    [
        ({"num_train_epochs": 1}, 5e-5, TRAINER),
        ({"num_train_epochs": 1, "packing": True}, 2e-5, "TRL's SFTConfig"),
        ({"num_train_epochs": 1, "beta": 0.1}, 1e-6, "TRL's DPOConfig"),
        ({"num_train_epochs": 1, "num_generations": 4}, 1e-6, "TRL's GRPOConfig"),
    ],
)
def test_the_rate_is_the_trainers_own(raw: dict[str, object], lr: float, tool: str) -> None:
    found = training_file_snapshot(raw, "training_args.json")
    assert (found.optimizer.lr, default_source(found, "optimizer.lr")) == (lr, tool)


def test_the_rest_is_the_trainers_and_three_epochs_only_without_steps() -> None:
    found = training_file_snapshot({"max_steps": 100}, "a.json").training
    assert (found.batch_size, found.gradient_accumulation, found.epochs) == (8, 1, None)
    assert found.extras["max_grad_norm"] == 1.0
    assert training_file_snapshot({}, "a.json").training.epochs == 3.0


def test_nothing_is_evaluated_unless_it_is_asked_for() -> None:
    found = training_file_snapshot({"load_best_model_at_end": True}, "a.json")
    (named,) = check_config(found, rules=(find_rule(ALL_RULES, "GR910"),)).recommendations
    assert default_source(found, "training.extras.eval_strategy") == TRAINER
    assert named.severity is Severity.ERROR
