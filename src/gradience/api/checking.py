"""``check`` from Python."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from gradience.core.architecture.fit import ModelFit
from gradience.core.checking.check import RULES, CheckReport, check_config
from gradience.core.checking.policy import CheckPolicy
from gradience.core.checking.rule import Rule
from gradience.core.config.readers import overlay, with_ratio
from gradience.core.config.snapshot import ConfigSnapshot, TaskProfile
from gradience.core.telemetry.trainer_logs import public_name
from gradience.shell.configs import find_peft_config, find_training_args, load_config
from gradience.shell.files import read_mapping

StrPath = str | os.PathLike[str]

MODEL_KEYS = ("base_model_name_or_path", "base_model", "model_name_or_path", "model_name", "model")
"""Where the tools' configurations name the base model."""


def check(
    config: ConfigSnapshot | StrPath | None = None,
    *,
    peft: StrPath | None = None,
    training: StrPath | None = None,
    peft_dir: StrPath | None = None,
    training_dir: StrPath | None = None,
    flags: ConfigSnapshot | None = None,
    task_profile: TaskProfile | None = None,
    policy: CheckPolicy | None = None,
    rules: tuple[Rule, ...] | None = None,
) -> CheckReport:
    """Checks a configuration before GPU hours are spent on it.

    Precedence, highest first: ``flags``, ``config``, ``peft`` (or the adapter_config.json of
    ``peft_dir``), ``training`` (or the training_args.json of ``training_dir``).

    Where the configuration's ``model_name`` is a model's config.json, a folder with one, or an id
    in the local Hugging Face cache, the report says what the adapter becomes on that model.

    Args:
        config: A snapshot, or a file of any kind that is read.
        peft: An adapter_config.json.
        training: A training_args.json.
        peft_dir: An adapter's folder.
        training_dir: A folder with a training_args.json.
        flags: Values that override all files.
        task_profile: Overrides the profile of ``flags`` and files, also by ``UNKNOWN`` (which in
            a snapshot means that nothing is said).
        policy: The rules' thresholds.
        rules: The rules to apply; all of them where nothing is said.

    Returns:
        The report.

    Raises:
        ConfigError: A file is missing, damaged, or of a kind that is named and refused.
    """
    adapter_file = _file_or_found(peft, peft_dir, find_peft_config)
    training_file = _file_or_found(training, training_dir, find_training_args)
    merged = ConfigSnapshot()
    sources: list[str] = []
    given = config if isinstance(config, ConfigSnapshot) or config is None else Path(config)
    parts = (training_file, adapter_file, given, flags)
    for part in parts:
        if part is None:
            continue
        if isinstance(part, Path):
            sources.append(str(part))
        merged = overlay(merged, load_config(part) if isinstance(part, Path) else part)
    if task_profile is not None:
        merged = msgspec.structs.replace(merged, task_profile=task_profile)
    merged = with_ratio(merged)
    return check_config(
        merged,
        policy,
        RULES if rules is None else rules,
        sources=tuple(sources),
        model=_model_fit(merged, [part for part in parts if isinstance(part, Path)]),
    )


def _model_fit(config: ConfigSnapshot, files: Sequence[Path]) -> ModelFit | None:
    """What the configuration becomes on its model; None where it names none."""
    if not config.model_name:
        return None
    from gradience.core.architecture.resolve import fit_model
    from gradience.shell.model_config import load_architecture

    task_type = config.lora.extras.get("task_type")
    architecture = load_architecture(
        _written_name(config.model_name, files), task_type if isinstance(task_type, str) else None
    )
    if isinstance(architecture, str):
        return ModelFit(reason=architecture)
    return fit_model(architecture, config)


def _written_name(name: str, files: Sequence[Path]) -> str:
    """The model's name as a file has it, where the configuration keeps only its public part."""
    for file in files:
        written = read_mapping(file)
        for key in MODEL_KEYS:
            value = written.get(key)
            if isinstance(value, str) and public_name(value) == name:
                return value
    return name


def _file_or_found(
    file: StrPath | None, folder: StrPath | None, find: Callable[[Path], Path]
) -> Path | None:
    """The file that was named, else the one found in the folder that was named."""
    if file:
        return Path(file)
    return find(Path(folder)) if folder else None
