"""Which parts a configuration asks for."""

from gradience.shell.trainer.gradient_watch import GradientWatch
from gradience.shell.trainer.guard_part import GuardPart
from gradience.shell.trainer.parts import TrainingPart
from gradience.shell.trainer.settings import GradienceCallbackConfig
from gradience.shell.trainer.spectra_in_flight import SpectraInFlight


def parts_of(config: GradienceCallbackConfig) -> tuple[TrainingPart, ...]:
    """The parts that run beside the recording, new ones for each training.

    The watch comes before the guard, which takes away the gradients of a step that it drops.
    """
    parts: list[TrainingPart] = []
    if config.watch_gradients:
        parts.append(GradientWatch())
    if config.enable_guard:
        parts.append(GuardPart(config.guard_policy()))
    if config.spectra_every is not None:
        parts.append(SpectraInFlight(config.spectra_every))
    return tuple(parts)
