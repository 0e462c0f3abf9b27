"""The audit of an adapter on disk: opens it, streams its pairs through core, closes it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from gradience.core.adapter.layouts import layout_name
from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.adapter.tensors import LoraPair, TensorSorting, sort_tensors
from gradience.core.audit.assemble import AuditPolicy, AuditSource, assemble
from gradience.core.audit.findings import (
    base_findings,
    structure_findings,
    training_findings,
)
from gradience.core.audit.module import (
    ModuleAudit,
    ModuleOptions,
    audit_module,
    pair_problem,
    unreadable_module,
)
from gradience.core.audit.report import AuditReport, Finding
from gradience.core.dominance.ratios import BaseNorms
from gradience.core.errors import GradienceError, UnsupportedAdapterError
from gradience.core.severity import Severity
from gradience.shell.adapters.folder import find_config, find_weights, load_adapter_config
from gradience.shell.adapters.weights import AdapterWeights, open_weights
from gradience.shell.base_model import BaseModel


@attrs.frozen(kw_only=True)
class AuditRequest:
    """What to audit, and against what."""

    peft_dir: Path = Path()
    adapter_config: Path | None = None
    weights: Path | None = None
    base_model: str | None = None
    base_norms_cache: Path | None = None
    options: ModuleOptions = ModuleOptions()
    policy: AuditPolicy = AuditPolicy()
    on_module: Callable[[int, int], None] | None = None
    """Told after each module how many of how many are done."""


@attrs.frozen
class _OpenAdapter:
    """An adapter whose header has been read."""

    config: PeftLoraConfig
    weights: AdapterWeights
    sorting: TensorSorting


def run_audit(request: AuditRequest) -> AuditReport:
    """Audits the adapter of a folder.

    Raises:
        AdapterError: Files are missing or damaged.
        UnsupportedAdapterError: The adapter is of a kind that is named and declined, or holds no
            LoRA pair.
        ConfigError: The configuration is damaged.
        BaseModelError: The base model cannot be read.
    """
    config_path = find_config(request.peft_dir, request.adapter_config)
    config = load_adapter_config(config_path)
    weights_path = find_weights(request.peft_dir, request.weights)
    source = AuditSource(
        peft_dir=str(request.peft_dir),
        adapter_config_path=str(config_path),
        adapter_weights_path=str(weights_path),
        base_model=request.base_model,
    )
    return audit_weights(source, config, open_weights(weights_path), request)


def audit_weights(
    source: AuditSource, config: PeftLoraConfig, weights: AdapterWeights, request: AuditRequest
) -> AuditReport:
    """Audits an adapter whose weights are open; errors as :func:`run_audit`."""
    base = BaseModel(request.base_model, request.base_norms_cache) if request.base_model else None
    adapter = _OpenAdapter(config, weights, _sorted(weights, source.adapter_weights_path))
    modules, without_base = _audit_modules(request, adapter, base)
    findings = (
        *_save_norms(base),
        *structure_findings(config, adapter.sorting),
        *training_findings([module.row for module in modules]),
        *base_findings(without_base),
    )
    return assemble(source, modules, adapter.sorting, findings, request.policy)


def _save_norms(base: BaseModel | None) -> Iterator[Finding]:
    """Keeps the base norms; a failure costs time at the next audit, not this one's report."""
    if base is None:
        return
    try:
        base.save_cache()
    except GradienceError as error:
        yield Finding(
            severity=Severity.WARNING,
            code="norms_not_kept",
            message=str(error),
            remedy="Name a file in a folder you may write to with --base-norms-cache.",
        )


def _sorted(weights: AdapterWeights, path: str) -> TensorSorting:
    sorting = sort_tensors(weights.tensors)
    if sorting.pairs or sorting.incomplete:
        return sorting
    layout = layout_name([tensor.name for tensor in weights.tensors])
    raise UnsupportedAdapterError(
        f"{path}: expected LoRA pairs (…lora_A.weight, …lora_B.weight), found {layout}, which this "
        "version does not audit."
    )


def _audit_modules(
    request: AuditRequest, adapter: _OpenAdapter, base: BaseModel | None
) -> tuple[list[ModuleAudit], dict[str, str]]:
    """Every module's audit, and why modules have no base weight."""
    modules: list[ModuleAudit] = []
    without_base: dict[str, str] = {}
    pairs = adapter.sorting.pairs
    for done, pair in enumerate(pairs, 1):
        norms = _base_norms(base, pair, without_base)
        modules.append(_audit_pair(adapter, pair, norms, request.options))
        if request.on_module is not None:
            request.on_module(done, len(pairs))
    return modules, without_base


def _audit_pair(
    adapter: _OpenAdapter, pair: LoraPair, base: BaseNorms | None, options: ModuleOptions
) -> ModuleAudit:
    problem = pair_problem(pair)
    if problem is not None:
        return unreadable_module(pair, adapter.config, problem)
    a, b = adapter.weights.load(pair.a.name), adapter.weights.load(pair.b.name)
    return audit_module(pair, adapter.config, a, b, base=base, options=options)


def _base_norms(
    base: BaseModel | None, pair: LoraPair, without_base: dict[str, str]
) -> BaseNorms | None:
    if base is None:
        return None
    norms = base.norms(pair.module, (pair.b.shape[0], pair.a.shape[1]))
    if isinstance(norms, BaseNorms):
        return norms
    without_base[pair.module] = norms
    return None
