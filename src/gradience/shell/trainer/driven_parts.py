"""Drives the parts beside the recording; one that raises is switched off."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import ParamSpec, TypeVar

from gradience.shell.trainer.parts import TrainingPart, TrainingRun
from gradience.shell.trainer.recorder import described

logger = logging.getLogger("gradience")

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class DrivenParts:
    """The parts of one training, in order; no method raises.

    Args:
        parts: What to drive.
        run: The training, handed to each.
    """

    def __init__(self, parts: Sequence[TrainingPart], run: TrainingRun) -> None:
        self.stopped_by: TrainingPart | None = None
        """The part that asked the training to stop."""
        self._parts = list(parts)
        self._run = run

    def begin(self, step: int) -> None:
        """Training begins."""
        for part in tuple(self._parts):
            self._call(part, step, part.begin, self._run, step)

    def before_optimizer_step(self, step: int) -> None:
        """Gradients are complete; ``step`` is about to be done."""
        for part in tuple(self._parts):
            self._call(part, step, part.before_optimizer_step, self._run, step)

    def after_step(self, step: int) -> bool:
        """The optimizer has stepped; whether a part asks the training to stop."""
        for part in tuple(self._parts):
            if self._call(part, step, part.after_step, self._run, step):
                self.stopped_by = self.stopped_by or part
        return self.stopped_by is not None

    def log_fields(self, step: int) -> Mapping[str, object]:
        """What the parts add to the ``train_step`` that is being written."""
        fields: dict[str, object] = {}
        for part in tuple(self._parts):
            fields.update(self._call(part, step, part.log_fields) or {})
        return fields

    def end(self, step: int) -> None:
        """Training is over; further calls reach no part."""
        for part in tuple(self._parts):
            self._call(part, step, part.end, self._run, step)
        self._parts.clear()

    def _call(
        self,
        part: TrainingPart,
        step: int,
        call: Callable[_Given, _Result],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result | None:
        """What the part returns; None from one that raises, which is switched off."""
        try:
            return call(*given, **named)
        except Exception as error:  # noqa: BLE001  training goes on whatever a part does
            self._switch_off(part, error, step)
            return None

    def _switch_off(self, part: TrainingPart, error: Exception, step: int) -> None:
        self._parts = [other for other in self._parts if other is not part]
        name = type(part).__name__
        logger.warning("%s is switched off (%s); training goes on", name, described(error))
        self._run.alert(
            "warning",
            "part_failed",
            f"{name} is switched off: it raised {type(error).__name__}; training goes on",
            context={"part": name, "error": type(error).__name__},
            step=step,
        )
        with suppress(Exception):
            part.end(self._run, step)
