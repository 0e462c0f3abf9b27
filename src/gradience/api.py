"""The stable Python entry points: each returns the frozen report that the command prints."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import msgspec

from gradience.core.adapter.peft_config import peft_lora_config, require_lora
from gradience.core.audit.assemble import AuditPolicy, AuditSource
from gradience.core.audit.module import ModuleOptions
from gradience.core.audit.report import AuditReport
from gradience.core.checking.check import CheckReport, check_config
from gradience.core.checking.rule import CheckPolicy
from gradience.core.config.readers import overlay, with_ratio
from gradience.core.config.snapshot import ConfigSnapshot, TaskProfile
from gradience.core.monitoring.alerts import MonitorPolicy
from gradience.core.monitoring.report import MonitorReport, monitor_report
from gradience.core.ranks.policies import RankPolicySpec, parse_rank_policy
from gradience.core.signals.pipeline import run_signals
from gradience.core.spectra.reduction import Factor
from gradience.shell.adapters.weights import state_dict_weights
from gradience.shell.audit import AuditRequest, audit_weights, run_audit
from gradience.shell.configs import find_peft_config, find_training_args, load_config
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter

if TYPE_CHECKING:
    import torch

StrPath = str | os.PathLike[str]

MEMORY = "<memory>"
"""Stands for a path where the adapter has none."""

__all__ = [
    "append_audit",
    "audit",
    "audit_lora_peft_dir",
    "audit_lora_state_dict",
    "check",
    "monitor",
]


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


def monitor(
    run: StrPath,
    *,
    gap_threshold: float | None = None,
    strict_schema: bool = False,
    policy: MonitorPolicy | None = None,
) -> MonitorReport:
    """Says what happened in a run, from its telemetry file, in one pass.

    Args:
        run: A telemetry v1 file.
        gap_threshold: Held-out over training perplexity from which on an alert is raised.
        strict_schema: Makes every issue of severity warning or above an error.
        policy: All thresholds.

    Returns:
        The report, of the last run in the file.

    Raises:
        TelemetryError: The file cannot be read, or is no telemetry v1.
    """
    policy = policy or MonitorPolicy()
    if gap_threshold is not None:
        policy = attrs.evolve(policy, gap=attrs.evolve(policy.gap, threshold=gap_threshold))
    reader = TelemetryReader(run, strict_schema=strict_schema)
    signals = run_signals(reader.iter_batches())
    return monitor_report(str(run), signals, reader.issues, policy)


def audit(
    peft_dir: StrPath,
    *,
    adapter_config: StrPath | None = None,
    weights: StrPath | None = None,
    base_model: str | None = None,
    base_norms_cache: StrPath | None = None,
    rank_policies: Sequence[str | RankPolicySpec] = (),
    top_singular_values: int = 0,
    exact: bool = False,
    policy: AuditPolicy | None = None,
    on_module: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Measures what an adapter uses of its rank. Imports no torch (unless weights are a .bin).

    Args:
        peft_dir: The adapter's folder.
        adapter_config: Its configuration, where it lies elsewhere.
        weights: Its weights, where they lie elsewhere.
        base_model: Folder (or id in the local Hub cache) of the base model, for UDR and SDI.
        base_norms_cache: A file that keeps the base weights' norms between audits.
        rank_policies: Policies to set side by side, such as ``"energy@0.95"``.
        top_singular_values: How many singular values each row holds.
        exact: Reduces by QR always, where the smallest singular values matter.
        policy: Thresholds, and the sections of the report.
        on_module: Told after each module how many of how many are done.

    Returns:
        The report.

    Raises:
        GradienceError: Something cannot be read or is named and declined.
    """
    policy = policy or AuditPolicy()
    if rank_policies:
        specs = tuple(
            parse_rank_policy(spec) if isinstance(spec, str) else spec for spec in rank_policies
        )
        policy = attrs.evolve(policy, rank_policies=specs)
    return run_audit(
        AuditRequest(
            peft_dir=Path(peft_dir),
            adapter_config=Path(adapter_config) if adapter_config else None,
            weights=Path(weights) if weights else None,
            base_model=base_model,
            base_norms_cache=Path(base_norms_cache) if base_norms_cache else None,
            options=ModuleOptions(top_singular_values=top_singular_values, exact=exact),
            policy=policy,
            on_module=on_module,
        )
    )


def audit_lora_peft_dir(peft_dir: StrPath, *, base_model: str | None = None) -> AuditReport:
    """:func:`audit` with every layer row in the report."""
    return audit(peft_dir, base_model=base_model, policy=AuditPolicy(layers=True))


def audit_lora_state_dict(
    state_dict: "Mapping[str, Factor | torch.Tensor]",
    adapter_config: Mapping[str, object],
    *,
    base_model: str | None = None,
    policy: AuditPolicy | None = None,
) -> AuditReport:
    """Audits an adapter that is in memory.

    Args:
        state_dict: PEFT's state dict, of torch tensors or NumPy arrays; not mutated.
        adapter_config: The content of its adapter_config.json, such as ``config.to_dict()``.
        base_model: Folder of the base model, for UDR and SDI.
        policy: Thresholds, and the sections of the report; every layer row by default.

    Returns:
        The report; its paths are ``<memory>``.

    Raises:
        GradienceError: The config does not fit or there is no LoRA pair.
    """
    config = require_lora(peft_lora_config(adapter_config, MEMORY), MEMORY)
    source = AuditSource(peft_dir=MEMORY, adapter_config_path=MEMORY, adapter_weights_path=MEMORY)
    request = AuditRequest(base_model=base_model, policy=policy or AuditPolicy(layers=True))
    return audit_weights(source, config, state_dict_weights(state_dict), request)


def append_audit(report: AuditReport, run: StrPath) -> None:
    """Appends an audit's summary to a telemetry file, as ``metrics`` of kind ``lora_audit``.

    The event carries the id of the file's last run and its last step, so that monitor counts it
    to that run. A file that does not exist yet is begun.

    Raises:
        TelemetryError: The file is no telemetry v1, or cannot be written.
    """
    path = Path(run)
    run_id, step = None, None
    if path.exists() and path.stat().st_size:
        signal = run_signals(TelemetryReader(path).iter_batches()).run
        run_id, step = signal.run_id, signal.last_step
    with TelemetryWriter(path, run_id=run_id) as writer:
        writer.metrics(step, kind="lora_audit", metrics=report.summary())
