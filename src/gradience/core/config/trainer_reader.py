"""A training_args.json on disk: what it says, and what the Trainer takes where it is silent."""

from collections.abc import Mapping

from gradience.core.config.defaults import with_defaults
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.trainer_arguments import (
    TRAINER,
    TRAINER_RATE,
    trainer_defaults,
    training_snapshot,
)
from gradience.core.config.trl_defaults import trl_rate


def training_file_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """The snapshot of a training_args.json, in full or kept by hand.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Raises:
        ConfigError: A value does not fit.
    """
    found = training_snapshot(raw, place)
    objective = found.training.extras.get("objective")
    rate, tool = trl_rate(objective) if isinstance(objective, str) else (TRAINER_RATE, TRAINER)
    found = with_defaults(found, rate, tool)
    return with_defaults(found, trainer_defaults(found.training), TRAINER)
