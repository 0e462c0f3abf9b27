"""A bare accelerate loop, recorded with TelemetryWriter on the main process.

Alone: ``python accelerate_loop.py``. Two processes on a CPU:
``torchrun --nproc_per_node 2 accelerate_loop.py``.
"""

from contextlib import nullcontext

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset

from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.types import ConfigSnapshot, OptimizerSnapshot, TrainingSnapshot

PATH = "accelerate_loop_output/run.jsonl"

EPOCHS, BATCH, ACCUMULATION, LEARNING_RATE = 3, 8, 2, 1e-2


def main() -> None:
    """Fits a line, with gradient accumulation."""
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATION)
    set_seed(0)
    x = torch.randn(128, 4)
    data = DataLoader(TensorDataset(x, x.sum(dim=1, keepdim=True)), batch_size=BATCH, shuffle=True)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    model, optimizer, data = accelerator.prepare(model, optimizer, data)
    config = ConfigSnapshot(
        optimizer=OptimizerSnapshot(name="adamw", lr=LEARNING_RATE),
        training=TrainingSnapshot(seed=0, batch_size=BATCH, gradient_accumulation=ACCUMULATION),
    )
    recording = TelemetryWriter(PATH) if accelerator.is_main_process else nullcontext()
    with recording as writer:
        if writer is not None:
            writer.run_start(config, {"world_size": accelerator.num_processes})
        step = 0
        for _ in range(EPOCHS):
            for inputs, targets in data:
                with accelerator.accumulate(model):
                    loss = torch.nn.functional.mse_loss(model(inputs), targets)
                    accelerator.backward(loss)
                    norm = accelerator.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
                if not accelerator.sync_gradients:
                    continue
                step += 1
                mean = accelerator.gather(loss.detach()).mean()
                if writer is not None:
                    writer.train_step(step, loss=mean, lr=LEARNING_RATE, grad_norm=norm)
    accelerator.end_training()
    accelerator.print(f"next: gradience monitor {PATH}")


if __name__ == "__main__":
    main()
