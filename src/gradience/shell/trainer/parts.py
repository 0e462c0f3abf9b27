"""What the callback is made of: parts that watch a training and may end it."""

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs
import torch
from transformers import TrainingArguments


@attrs.frozen(kw_only=True)
class TrainingRun:
    """A training that is under way, as its parts see it."""

    args: TrainingArguments
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer | None
    """The Trainer's optimizer, wrapped by accelerate; None before it exists."""
    alert: Callable[..., None]
    """Records an alert, with the parameters of ``TelemetryWriter.alert``; never raises."""
    metrics: Callable[..., None]
    """Records metrics, with the parameters of ``TelemetryWriter.metrics``; never raises."""
    about_to_save: Callable[[], bool] = lambda: False
    """Whether the weights may be saved after the step that is being ended: a checkpoint or an
    evaluation is due, or it is the last of an epoch or of all."""


class TrainingPart(Protocol):
    """One thing that is done beside the recording of logs.

    The callback calls each method within its own guard: an exception switches the part off, with
    one warning, and training goes on.
    """

    def begin(self, run: TrainingRun, step: int) -> None:
        """Training begins at ``step`` (above 0 for a resumed one)."""

    def before_optimizer_step(self, run: TrainingRun, step: int) -> None:
        """Gradients are complete (and clipped); the optimizer has not applied them yet.

        ``step`` is the number that the step will have: those done before, plus one.
        """

    def after_step(self, run: TrainingRun, step: int) -> bool:
        """The optimizer has stepped; ``step`` is done.

        True asks the training to stop; the run then ends as aborted.
        """

    def log_fields(self) -> Mapping[str, object]:
        """Fields to add to the ``train_step`` that is being written; clears what was gathered."""

    def end(self, run: TrainingRun, step: int) -> None:
        """Training is over, in whatever way."""
