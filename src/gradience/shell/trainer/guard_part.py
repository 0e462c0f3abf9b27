"""The guard as a part of the callback: its alerts and metrics go into the run's telemetry."""

from collections.abc import Mapping

from gradience.core.guard.alerts import GuardAlert
from gradience.core.guard.policy import GuardPolicy
from gradience.shell.guard.trainer_guard import TrainerGuard
from gradience.shell.trainer.parts import TrainingRun

ABORTED = "guard_abort"
"""Why a run that the guard gave up ended."""

KIND = "guard"
"""Of the metrics that the guard leaves."""


class GuardPart:
    """Drops bad optimizer steps, goes back to healthy weights, and ends a run beyond help.

    Every process drives its own guard: all decide alike, and world rank zero records.

    Args:
        policy: The options.
    """

    def __init__(self, policy: GuardPolicy) -> None:
        self.policy = policy
        self.guard: TrainerGuard | None = None
        """The guard of the present training."""
        self.stop_reason = ABORTED

    def begin(self, run: TrainingRun, step: int) -> None:
        """Says in telemetry that the guard is on (or off, and why) and takes the first snapshot."""

        def alert(at: int, found: GuardAlert) -> None:
            run.alert(found.severity, found.code, found.message, context=found.context, step=at)

        def metrics(at: int, values: Mapping[str, object]) -> None:
            run.metrics(at, kind=KIND, metrics=values)

        self.guard = TrainerGuard(self.policy, alert, metrics)
        if run.optimizer is not None:
            self.guard.begin(run.model, run.optimizer, run.args, step)

    def before_optimizer_step(self, run: TrainingRun, step: int) -> None:
        """Drops the step where its gradients are not to be trusted."""
        if self.guard is not None and run.optimizer is not None:
            self.guard.before_optimizer_step(step, run.model, run.optimizer)

    def after_step(self, run: TrainingRun, step: int) -> bool:
        """Takes a snapshot or goes back; True where the guard gives the run up."""
        if self.guard is None or run.optimizer is None:
            return False
        return self.guard.after_step(
            step, run.model, run.optimizer, about_to_save=run.about_to_save()
        )

    def log_fields(self) -> Mapping[str, object]:
        """Nothing: the guard records what it does when it does it."""
        return {}

    def end(self, run: TrainingRun, step: int) -> None:
        """Takes the guard's hooks off the model."""
        del run, step
        if self.guard is not None:
            self.guard.end()
