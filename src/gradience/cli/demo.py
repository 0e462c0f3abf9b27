"""``gradience demo``."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.rule import Rule

from gradience.api import append_audit, audit, check, monitor
from gradience.cli.app import EXIT_OK
from gradience.cli.output import console
from gradience.cli.views.audit import render_audit
from gradience.cli.views.check import render_check
from gradience.cli.views.monitor import render_monitor
from gradience.cli.views.parts import line
from gradience.demo.golden_path import DemoRun, train_demo
from gradience.demo.settings import DemoSettings, Stage

DEFAULT_OUT = Path("gradience_demo")


def demo_command(*, out: Path = DEFAULT_OUT, seed: int = 7) -> int:
    """Train, check, monitor and audit a tiny model: no network, no GPU, under a minute.

    A tiny transformer is pretrained for a few seconds on generated text, then adapted to another
    kind of text with a PEFT LoRA adapter through the Hugging Face Trainer, recorded by
    GradienceCallback.

    Args:
        out: The folder for what it leaves: run.jsonl, adapter, base and training.
        seed: The same seed trains the same weights.
    """
    screen = console()
    begun = time.monotonic()
    with stage_progress(screen) as on_stage:
        run = train_demo(DemoSettings(out=out, seed=seed), on_stage)
    show_results(run, screen)
    line(screen, f"done in {time.monotonic() - begun:.0f} s", "dim")
    return EXIT_OK


def show_results(run: DemoRun, screen: Console) -> None:
    """Checks, monitors and audits what a demo left, and prints how to repeat each."""
    paths = run.settings
    line(
        screen,
        f"trained: base loss {run.pretrain_loss:.3f}, adapter's held-out loss "
        f"{run.eval_loss:.3f} nats per character; everything is in {paths.out}/",
    )
    training = paths.training_args_file.parent
    _step(screen, f"gradience check --peft-dir {paths.adapter_dir} --training-dir {training}")
    render_check(check(peft_dir=paths.adapter_dir, training_dir=training), screen)
    report = audit(paths.adapter_dir, base_model=str(paths.base_dir))
    append_audit(report, paths.telemetry_file)
    _step(screen, f"gradience monitor {paths.telemetry_file}")
    render_monitor(monitor(paths.telemetry_file), screen)
    _step(screen, f"gradience audit --peft-dir {paths.adapter_dir} --base-model {paths.base_dir}")
    render_audit(report, screen)
    screen.print()
    screen.print(Rule(style="dim"))


@contextmanager
def stage_progress(screen: Console) -> Iterator[Callable[[Stage], None]]:
    """A bar per stage, wiped when the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=screen, transient=True) as progress:

        def on_stage(stage: Stage) -> None:
            if stage.name not in tasks:
                tasks[stage.name] = progress.add_task(stage.name, total=stage.total)
            progress.update(tasks[stage.name], completed=stage.done)

        yield on_stage


def _step(screen: Console, command: str) -> None:
    screen.print()
    screen.print(Rule(style="dim"))
    screen.print(f"$ {command}", style="bold green", markup=False)
    screen.print()
