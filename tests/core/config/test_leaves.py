"""A configuration as a flat table and back."""

from gradience.core.config.leaves import from_leaves, leaf_name, leaves, marks
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)

CONFIG = ConfigSnapshot(
    model_name="m",
    task_profile=TaskProfile.GENERATION,
    optimizer=OptimizerSnapshot(lr=1e-4),
    training=TrainingSnapshot(extras={"max_grad_norm": None, "a.b": 1}),
    extras={"tool": "trl", "defaults": {"optimizer.lr": "TRL", "lora.r": "TRL"}},
)


def test_what_is_said_stands_by_its_place() -> None:
    assert leaves(CONFIG) == {
        ("optimizer", "lr"): 1e-4,
        ("training", "extras", "max_grad_norm"): None,
        ("training", "extras", "a.b"): 1,
        ("model_name",): "m",
        ("task_profile",): TaskProfile.GENERATION,
        ("extras", "tool"): "trl",
    }


def test_back_again_and_without_marks_of_what_is_not_there() -> None:
    found = from_leaves(leaves(CONFIG), marks(CONFIG))
    assert found.extras == {"tool": "trl", "defaults": {"optimizer.lr": "TRL"}}
    assert (found.optimizer, found.training) == (CONFIG.optimizer, CONFIG.training)
    assert found.lora == LoraSnapshot()


def test_nothing_is_the_empty_configuration() -> None:
    assert leaves(ConfigSnapshot()) == {}
    assert from_leaves({}, {"optimizer.lr": "TRL"}) == ConfigSnapshot()


def test_defaults_that_are_no_table_are_an_extra_like_any_other() -> None:
    config = ConfigSnapshot(extras={"defaults": 3})
    assert leaves(config) == {("extras", "defaults"): 3}
    assert from_leaves(leaves(config), marks(config)) == config


def test_a_leaf_has_a_dotted_name() -> None:
    assert leaf_name(("training", "extras", "max_grad_norm")) == "training.extras.max_grad_norm"
