"""Base model, adapter, record: everything that check, monitor and audit then look at."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from gradience.core.errors import GradienceError, MissingDependencyError
from gradience.demo.settings import DemoSettings, Stage

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

LOADING = "loading torch, transformers, peft"


@attrs.frozen(kw_only=True)
class DemoRun:
    """What the demo trained."""

    settings: DemoSettings
    pretrain_loss: float
    """Loss of the base model's last pretraining step, nats per token."""
    eval_loss: float
    """Held-out loss of the adapted model, nats per token."""


def train_demo(settings: DemoSettings, on_stage: Callable[[Stage], None]) -> DemoRun:
    """Pretrains a tiny base model, fine-tunes an adapter on it, and saves both.

    Deterministic under ``settings.seed`` (run id and times apart).

    Args:
        settings: What to train and where to leave it.
        on_stage: Told about the progress.

    Returns:
        The losses; the files are below ``settings.out``.

    Raises:
        GradienceError: ``settings.out`` is a file.
        MissingDependencyError: torch, transformers, peft or accelerate is not installed.
    """
    if settings.out.exists() and not settings.out.is_dir():
        raise GradienceError(f"{settings.out}: expected a folder to write to, found a file.")
    on_stage(Stage(name=LOADING, done=0, total=1))
    model = _seeded_model(settings)
    on_stage(Stage(name=LOADING, done=1, total=1))
    from gradience.demo.base_model import pretrain
    from gradience.demo.finetune import add_adapter, finetune

    with _quiet_libraries():
        pretrain_loss = pretrain(model, settings, on_stage)
        model.save_pretrained(str(settings.base_dir))
        metrics = finetune(add_adapter(model, settings), settings, on_stage)
    return DemoRun(settings=settings, pretrain_loss=pretrain_loss, eval_loss=metrics["eval_loss"])


def _seeded_model(settings: DemoSettings) -> "LlamaForCausalLM":
    try:
        import accelerate  # noqa: F401  the Trainer needs it and says so late
        import peft  # noqa: F401
        import torch  # noqa: F401
        import transformers

        from gradience.demo.base_model import build_model
    except ImportError as error:
        raise MissingDependencyError(
            f"the demo trains a model and needs {error.name}, which is not installed. Install "
            "PyTorch in the build that fits your machine, then: pip install 'gradience[hf]'."
        ) from error
    transformers.set_seed(settings.seed)
    return build_model(settings.device)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keeps progress bars and deprecation notes among libraries off the demo's screen."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # transformers
