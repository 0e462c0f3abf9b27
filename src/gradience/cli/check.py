"""``gradience check``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gradience.api import check
from gradience.cli.app import EXIT_FINDINGS, EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.views.check import render_check
from gradience.core.checking.check import ALL_RULES, CheckReport
from gradience.core.checking.rule import Rule
from gradience.core.checking.selection import (
    leave_out,
    require_known,
    select_rules,
    split_selectors,
)
from gradience.core.checking.settings import ProjectSettings
from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
)
from gradience.core.config.vocabulary import target_modules
from gradience.core.severity import FailOn
from gradience.shell.project_settings import find_project_settings


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
    select: str | None = None,
    ignore: str | None = None,
    fail_on: FailOn | None = None,
    verbose: bool = False,
    json: bool = False,
) -> int:
    """Look at a configuration before GPU hours are spent on it.

    Values are taken from, highest first: flags, CONFIG, --peft (or --peft-dir), --training (or
    --training-dir). A [tool.gradience] table in the nearest pyproject.toml may hold select, ignore,
    task-profile, fail-on and thresholds.

    Args:
        config: The configuration of Axolotl, LLaMA-Factory, TRL, torchtune, ms-swift, Unsloth or
            mlx-lm, an adapter_config.json, a training_args.json, or Gradience YAML / JSON.
        peft: An adapter_config.json.
        training: A training_args.json.
        peft_dir: A folder with an adapter_config.json.
        training_dir: A folder with a training_args.json.
        model: The base model's name, or its config.json (or the folder with it), against which
            target modules, patterns and sizes are resolved.
        dataset: The data set's name.
        task_profile: What kind of task it is.
        optimizer: The optimizer's name.
        lr: The learning rate.
        weight_decay: The weight decay.
        r: The rank.
        alpha: lora_alpha.
        targets: Target modules, separated by commas, a regular expression, or all-linear.
        notes: Anything to keep with the report.
        select: Apply these rules alone: codes, their beginnings, or names, separated by commas
            (GR1,GR201); ALL.
        ignore: Leave these rules out.
        fail_on: Exit with 1 on a recommendation of this severity or above (never unless the
            project says otherwise).
        verbose: Show the grounds, the source and the refuting experiment of each.
        json: Print the report as JSON.
    """
    flags = ConfigSnapshot(
        model_name=model,
        dataset_name=dataset,
        optimizer=OptimizerSnapshot(name=optimizer, lr=lr, weight_decay=weight_decay),
        lora=LoraSnapshot(r=r, alpha=alpha, target_modules=target_modules(targets)),
        notes=notes,
    )
    project = find_project_settings(Path.cwd())
    rules = chosen_rules(project, select, ignore)

    def checked(profile: TaskProfile | None) -> CheckReport:
        return check(
            config,
            peft=peft,
            training=training,
            peft_dir=peft_dir,
            training_dir=training_dir,
            flags=flags,
            task_profile=profile,
            policy=project.policy,
            rules=rules,
        )

    report = checked(task_profile)
    if task_profile is None and report.config.task_profile is TaskProfile.UNKNOWN:
        report = checked(project.task_profile) if project.task_profile else report
    if json:
        print_json(report)
    else:
        render_check(report, console(), verbose=verbose, model_asked=model is not None)
    level = fail_on or project.fail_on or FailOn.NEVER
    return EXIT_FINDINGS if level.triggered_by(report.severities) else EXIT_OK


def chosen_rules(
    project: ProjectSettings, select: str | None, ignore: str | None
) -> tuple[Rule, ...]:
    """The rules of flags and project.

    As in ruff, ``--select`` replaces both lists of the project's table, and ``--ignore`` without
    it takes away from what the project selects.

    Raises:
        ConfigError: A selector selects no rule.
    """
    selected, ignored = split_selectors(select), split_selectors(ignore)
    require_known(ALL_RULES, selected or (), "--select")
    require_known(ALL_RULES, ignored or (), "--ignore")
    require_known(ALL_RULES, project.select or (), f"{project.place} select")
    require_known(ALL_RULES, project.ignore or (), f"{project.place} ignore")
    if selected is not None:
        return select_rules(ALL_RULES, selected, ignored)
    of_project = select_rules(ALL_RULES, project.select, project.ignore)
    return leave_out(of_project, ignored or ())
