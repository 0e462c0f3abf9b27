"""``check`` from Python."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from gradience.core.checking.check import CheckReport, check_config
from gradience.core.checking.rule import CheckPolicy
from gradience.core.config.readers import overlay, with_ratio
from gradience.core.config.snapshot import ConfigSnapshot, TaskProfile
from gradience.shell.configs import find_peft_config, find_training_args, load_config

StrPath = str | os.PathLike[str]


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
) -> CheckReport:
    """Checks a configuration before GPU hours are spent on it.

    Precedence, highest first: ``flags``, ``config``, ``peft`` (or the adapter_config.json of
    ``peft_dir``), ``training`` (or the training_args.json of ``training_dir``).

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
    for part in (training_file, adapter_file, given, flags):
        if part is None:
            continue
        if isinstance(part, Path):
            sources.append(str(part))
        merged = overlay(merged, load_config(part) if isinstance(part, Path) else part)
    if task_profile is not None:
        merged = msgspec.structs.replace(merged, task_profile=task_profile)
    return check_config(with_ratio(merged), policy, sources=tuple(sources))


def _file_or_found(
    file: StrPath | None, folder: StrPath | None, find: Callable[[Path], Path]
) -> Path | None:
    """The file that was named, else the one found in the folder that was named."""
    if file:
        return Path(file)
    return find(Path(folder)) if folder else None
