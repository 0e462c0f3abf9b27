"""What a Trainer calls on its callbacks in a step, without a Trainer."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler

STEP_HOOKS = ("on_step_begin", "on_pre_optimizer_step", "on_optimizer_step", "on_step_end")


def logging_step(
    callback: TrainerCallback, folder: Path, *, log: bool = True
) -> Callable[[], None]:
    """The hooks of one training step, called as the Trainer does, training having begun.

    Args:
        callback: The only callback.
        folder: The Trainer's output folder.
        log: Whether the step is one that the Trainer logs.

    Returns:
        A function that runs one step's hooks.
    """
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    args = TrainingArguments(output_dir=str(folder), use_cpu=True, report_to=[])
    state, control = TrainerState(is_world_process_zero=True), TrainerControl()
    handler = CallbackHandler([callback], model, None, optimizer, None)  # type: ignore[no-untyped-call]  # transformers has no annotations
    handler.on_train_begin(args, state, control)
    hooks = [getattr(handler, name) for name in STEP_HOOKS]

    def step() -> None:
        state.global_step += 1
        for hook in hooks:
            hook(args, state, control)
        if log:
            logs = {"loss": 1.23, "learning_rate": 1e-4, "grad_norm": 0.5, "epoch": 0.1}
            handler.on_log(args, state, control, logs)

    return step
