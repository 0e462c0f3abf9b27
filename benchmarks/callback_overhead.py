"""What looking at gradients, and at spectra, costs beside a training step of a LoRA model."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

SEQUENCE = 32
BATCH = 4


class ModelShape(NamedTuple):
    """A Llama-style model with LoRA on all linear layers."""

    layers: int
    hidden: int
    r: int
    rounds: int


SHAPES = {
    "tiny": ModelShape(layers=2, hidden=64, r=8, rounds=200),
    "mid-size": ModelShape(layers=12, hidden=512, r=16, rounds=15),
}


class Overhead(NamedTuple):
    """Medians of one model, seconds.

    ``floor`` is one gradient norm over the same parameters, as clipping takes it; without the
    watch nothing is added to a step.
    """

    parameters: int
    modules: int
    step_s: float
    watch_s: float
    floor_s: float
    spectra_s: float


def run() -> None:
    """Times both models and prints the table."""
    _print_table({label: _overhead(shape) for label, shape in SHAPES.items()})


def _overhead(shape: ModelShape) -> Overhead:
    import torch

    from gradience.shell.gradient_norms import gradient_norms
    from gradience.shell.trainer.gradient_watch import GradientWatch
    from gradience.shell.trainer.lora_updates import live_updates
    from gradience.shell.trainer.spectra_in_flight import SpectraInFlight

    model = _lora_model(shape)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4)
    tokens = torch.randint(0, 100, (BATCH, SEQUENCE), generator=torch.Generator().manual_seed(0))
    run, watch = _training_run(model, optimizer), GradientWatch()

    plain: list[float] = []
    watched: list[float] = []
    for _ in range(shape.rounds + 2):
        begun = time.perf_counter()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        plain.append(time.perf_counter() - begun)
        watch.begin(run, 0)
        model(input_ids=tokens, labels=tokens).loss.backward()
        # what the hooks did at the end of the pass, once more: it cannot be timed from outside
        in_pass = _wall_s(lambda: gradient_norms(trainable))
        before = _wall_s(lambda: watch.before_optimizer_step(run, 1))
        optimizer.step()
        optimizer.zero_grad()
        watched.append(in_pass + before + _wall_s(lambda: watch.after_step(run, 1)))
        watch.end(run, 1)
    model(input_ids=tokens, labels=tokens).loss.backward()
    spectra = SpectraInFlight(1)
    return Overhead(
        parameters=len(trainable),
        modules=len(live_updates(model).updates),
        step_s=statistics.median(plain[2:]),
        watch_s=statistics.median(watched[2:]),
        floor_s=_median_s(lambda: torch.nn.utils.get_total_norm([p.grad for p in trainable])),
        spectra_s=_median_s(lambda: spectra.look(model)),
    )


def _lora_model(shape: ModelShape) -> object:
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100,
        hidden_size=shape.hidden,
        intermediate_size=3 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    lora = LoraConfig(task_type=TaskType.CAUSAL_LM, r=shape.r, target_modules="all-linear")
    return get_peft_model(LlamaForCausalLM(config), lora)


def _training_run(model: object, optimizer: object) -> object:
    from gradience.shell.trainer.parts import TrainingRun

    def record(*given: object, **named: object) -> None:
        del given, named

    return TrainingRun(args=None, model=model, optimizer=optimizer, alert=record, metrics=record)


def _wall_s(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _median_s(call: Callable[[], object], rounds: int = 9) -> float:
    return statistics.median([_wall_s(call) for _ in range(rounds + 1)][1:])


def _print_table(found: dict[str, Overhead]) -> None:
    title = (
        f"looking at a training step of {BATCH} x {SEQUENCE} tokens (CPU, medians); "
        "floor: one gradient norm over the same parameters"
    )
    table = Table(box=None, pad_edge=False, title=title)
    table.add_column("model")
    for column in (
        "tensors", "step", "watch costs", "share", "x floor",
        "modules", "one spectra pass", "x step", "share at every 100",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for label, one in found.items():
        cost = one.watch_s
        table.add_row(
            label,
            str(one.parameters),
            f"{1e3 * one.step_s:.2f} ms",
            f"{1e6 * cost:.0f} µs",
            f"{cost / one.step_s:.1%}",
            f"{cost / one.floor_s:.1f}",
            str(one.modules),
            f"{1e3 * one.spectra_s:.1f} ms",
            f"{one.spectra_s / one.step_s:.2f}",
            f"{one.spectra_s / one.step_s / 100:.2%}",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    run()
