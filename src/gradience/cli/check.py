"""``gradience check``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gradience.api import check
from gradience.cli.app import EXIT_FINDINGS, EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.views.check import render_check
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
)
from gradience.core.severity import FailOn


def check_command(
    config: Path | None = None,
    /,
    *,
    peft: Path | None = None,
    training: Path | None = None,
    peft_dir: Path | None = None,
    training_dir: Path | None = None,
    model: str | None = None,
    dataset: Annotated[str | None, Parameter(name=["--dataset", "--task"])] = None,
    task_profile: Annotated[
        TaskProfile | None, Parameter(name="--task-profile", name_transform=str.lower)
    ] = None,
    optimizer: str | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    r: int | None = None,
    alpha: float | None = None,
    targets: str | None = None,
    notes: str | None = None,
    fail_on: FailOn = FailOn.NEVER,
    verbose: bool = False,
    json: bool = False,
) -> int:
    """Look at a configuration before GPU hours are spent on it.

    Values are taken from, highest first: flags, CONFIG, --peft (or --peft-dir), --training (or
    --training-dir).

    Args:
        config: adapter_config.json, training_args.json, or Gradience YAML / JSON.
        peft: An adapter_config.json.
        training: A training_args.json.
        peft_dir: A folder with an adapter_config.json.
        training_dir: A folder with a training_args.json.
        model: The base model's name.
        dataset: The data set's name.
        task_profile: What kind of task it is.
        optimizer: The optimizer's name.
        lr: The learning rate.
        weight_decay: The weight decay.
        r: The rank.
        alpha: lora_alpha.
        targets: Target modules, separated by commas, or all-linear.
        notes: Anything to keep with the report.
        fail_on: Exit with 1 on a recommendation of this severity or above.
        verbose: Show the grounds, the source and the refuting experiment of each.
        json: Print the report as JSON.
    """
    flags = ConfigSnapshot(
        model_name=model,
        dataset_name=dataset,
        optimizer=OptimizerSnapshot(name=optimizer, lr=lr, weight_decay=weight_decay),
        lora=LoraSnapshot(r=r, alpha=alpha, target_modules=parse_targets(targets)),
        notes=notes,
    )
    report = check(
        config,
        peft=peft,
        training=training,
        peft_dir=peft_dir,
        training_dir=training_dir,
        flags=flags,
        task_profile=task_profile,
    )
    if json:
        print_json(report)
    else:
        render_check(report, console(), verbose=verbose)
    return EXIT_FINDINGS if fail_on.triggered_by(report.severities) else EXIT_OK


def parse_targets(text: str | None) -> tuple[str, ...] | str | None:
    """``q_proj,v_proj`` as names; a single ``all-linear`` as PEFT's own word."""
    if text is None or text == "all-linear":
        return text
    return tuple(name.strip() for name in text.split(",") if name.strip())
