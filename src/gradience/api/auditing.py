"""``audit`` from Python."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from gradience.core.adapter.layouts import AdapterFile
from gradience.core.audit.assemble import AuditSource
from gradience.core.audit.module import ModuleOptions
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport
from gradience.core.errors import ConfigError
from gradience.core.ranks.budget import BudgetSpec, parse_rank_rule
from gradience.core.ranks.policies import RankPolicySpec
from gradience.core.spectra.gram import Factor
from gradience.shell.adapters.remote import local_adapter
from gradience.shell.adapters.weights import state_dict_weights
from gradience.shell.audit import AuditRequest, audit_weights, run_audit
from gradience.shell.audit_base import BaseRequest
from gradience.shell.devices import CPU, gram_on

if TYPE_CHECKING:
    import torch

StrPath = str | os.PathLike[str]

MEMORY = "<memory>"
"""Stands for a path where the adapter has none."""


def audit(
    peft_dir: StrPath,
    *,
    adapter_config: StrPath | None = None,
    weights: StrPath | None = None,
    initial_adapter: StrPath | None = None,
    base_model: str | None = None,
    base_norms_cache: StrPath | None = None,
    intruders: bool = False,
    rank_policies: Sequence[str | RankPolicySpec | BudgetSpec] = (),
    top_singular_values: int = 0,
    exact: bool = False,
    device: str = CPU,
    policy: AuditPolicy | None = None,
    on_module: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Measures what an adapter uses of its rank. Imports no torch (unless weights are a .bin).

    Args:
        peft_dir: The adapter's folder or weight file, or the address of its folder
            (``hf://owner/name``, ``s3://…`` and whatever else fsspec opens).
        adapter_config: Its configuration, where it lies elsewhere.
        weights: Its weights, where they lie elsewhere.
        initial_adapter: The adapter that training began with, whose factors are taken away: needed
            for PiSSA, OLoRA, LoRA-GA, CorDA.
        base_model: Folder (or id in the local Hub cache) of the base model, for UDR and SDI.
        base_norms_cache: A file that keeps the base weights' norms between audits.
        intruders: Looks for intruder dimensions; needs ``base_model``.
        rank_policies: Policies and budgets to set side by side, such as ``"energy@0.95"`` or
            ``"budget@0.5"``.
        top_singular_values: How many singular values each row holds.
        exact: Reduces by QR always, where the smallest singular values matter.
        device: ``cpu`` (NumPy) or a device of torch, for the reduction of the factors.
        policy: Thresholds, and the sections of the report.
        on_module: Told after each step how many of how many are done.

    Returns:
        The report.

    Raises:
        GradienceError: Something cannot be read or is named and declined.
    """
    if intruders and base_model is None:
        raise ConfigError("intruders: expected a base model to look for new directions against")
    base = _base_request(base_model, base_norms_cache, intruders=intruders)
    request = AuditRequest(
        adapter_config=Path(adapter_config) if adapter_config else None,
        weights=Path(weights) if weights else None,
        initial=Path(initial_adapter) if initial_adapter else None,
        base=base,
        options=ModuleOptions(
            top_singular_values=top_singular_values, exact=exact, gram=gram_on(device)
        ),
        policy=_with_rank_rules(policy or AuditPolicy(), rank_policies),
        on_module=on_module,
    )
    with local_adapter(os.fspath(peft_dir)) as place:
        return run_audit(attrs.evolve(request, place=place), name=os.fspath(peft_dir))


def audit_lora_peft_dir(peft_dir: StrPath, *, base_model: str | None = None) -> AuditReport:
    """:func:`audit` with every layer row in the report."""
    return audit(peft_dir, base_model=base_model, policy=AuditPolicy(layers=True))


def audit_lora_state_dict(
    state_dict: "Mapping[str, Factor | torch.Tensor]",
    adapter_config: Mapping[str, object] | None = None,
    *,
    base_model: str | None = None,
    policy: AuditPolicy | None = None,
) -> AuditReport:
    """Audits an adapter that is in memory.

    Args:
        state_dict: An adapter's state dict in any layout that is read, of torch tensors or NumPy
            arrays; not mutated.
        adapter_config: The content of its adapter_config.json, such as ``config.to_dict()``; PEFT
            and mlx-lm need it.
        base_model: Folder of the base model, for UDR and SDI.
        policy: Thresholds, and the sections of the report; every layer row by default.

    Returns:
        The report; its paths are ``<memory>``.

    Raises:
        GradienceError: The config does not fit or there is no LoRA pair.
    """
    weights = state_dict_weights(state_dict)
    file = AdapterFile(
        tensors=weights.tensors,
        scalars=weights.scalars(),
        config=adapter_config,
        config_place=MEMORY,
        place=MEMORY,
    )
    source = AuditSource(
        peft_dir=MEMORY,
        adapter_config_path=None if adapter_config is None else MEMORY,
        adapter_weights_path=MEMORY,
        base_model=base_model,
    )
    request = AuditRequest(
        base=_base_request(base_model, None, intruders=False),
        policy=policy or AuditPolicy(layers=True),
    )
    return audit_weights(source, file, weights, request)


def _base_request(
    base_model: str | None, cache: StrPath | None, *, intruders: bool
) -> BaseRequest | None:
    if base_model is None:
        return None
    return BaseRequest(
        model=base_model, norms_cache=Path(cache) if cache else None, intruders=intruders
    )


def _with_rank_rules(
    policy: AuditPolicy, rules: Sequence[str | RankPolicySpec | BudgetSpec]
) -> AuditPolicy:
    parsed = [parse_rank_rule(rule) if isinstance(rule, str) else rule for rule in rules]
    if not parsed:
        return policy
    return attrs.evolve(
        policy,
        rank_policies=tuple(rule for rule in parsed if isinstance(rule, RankPolicySpec)),
        budgets=tuple(rule for rule in parsed if isinstance(rule, BudgetSpec)),
    )
