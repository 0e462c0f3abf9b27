"""What a tool does in silence is filled in, and marked."""

from gradience.core.config.defaults import default_source, with_defaults
from gradience.core.config.snapshot import ConfigSnapshot, OptimizerSnapshot, TrainingSnapshot


def test_only_what_is_not_said_is_filled_in() -> None:
    config = ConfigSnapshot(optimizer=OptimizerSnapshot(lr=1e-4))
    values = {"optimizer.lr": 5e-5, "optimizer.weight_decay": 0.0, "training.extras.packing": False}
    found = with_defaults(config, {**values, "extras.finetuning": "full"}, "a tool")
    assert found == ConfigSnapshot(
        optimizer=OptimizerSnapshot(lr=1e-4, weight_decay=0.0),
        training=TrainingSnapshot(extras={"packing": False}),
        extras={
            "finetuning": "full",
            "defaults": {
                "optimizer.weight_decay": "a tool",
                "training.extras.packing": "a tool",
                "extras.finetuning": "a tool",
            },
        },
    )


def test_the_first_to_fill_in_decides() -> None:
    found = with_defaults(ConfigSnapshot(), {"optimizer.lr": 2e-5}, "TRL's SFTConfig")
    found = with_defaults(found, {"optimizer.lr": 5e-5, "lora.r": 8}, "another")
    assert (found.optimizer.lr, default_source(found, "optimizer.lr")) == (2e-5, "TRL's SFTConfig")
    assert default_source(found, "lora.r") == "another"


def test_a_null_that_says_something_is_not_filled_in() -> None:
    config = ConfigSnapshot(training=TrainingSnapshot(extras={"max_grad_norm": None}))
    assert with_defaults(config, {"training.extras.max_grad_norm": 1.0}, "a tool") == config


def test_a_given_value_is_nobodys_default() -> None:
    assert default_source(ConfigSnapshot(extras={"defaults": "x"}), "lora.r") is None
    assert default_source(ConfigSnapshot(), "lora.r") is None
