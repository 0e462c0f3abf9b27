"""The audit of an adapter: opens it, streams its pairs through core, closes it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs

from gradience.core.adapter.factors import UpdateFactors, difference_factors, update_factors
from gradience.core.adapter.layouts import AdapterFile, read_adapter, unknown_layout
from gradience.core.adapter.peft_config import ADAPTER_CONFIG
from gradience.core.adapter.peft_methods import refuse_moved_weights
from gradience.core.adapter.tensors import AdapterContents, LoraPair
from gradience.core.audit.assemble import AuditSource, assemble
from gradience.core.audit.findings import structure_findings
from gradience.core.audit.module import (
    ModuleAudit,
    ModuleOptions,
    audit_module,
    pruned_module,
    unreadable_module,
)
from gradience.core.audit.pair_problems import is_pruned, pair_problem
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.quantity_findings import (
    noise_findings,
    size_findings,
    training_findings,
)
from gradience.core.audit.report import AuditReport, Finding
from gradience.core.errors import UnsupportedAdapterError
from gradience.shell.adapters.folder import AdapterPlace, find_adapter, read_config
from gradience.shell.adapters.initial import InitialFactors, find_initial
from gradience.shell.adapters.weights import AdapterWeights, open_weights
from gradience.shell.audit_base import BaseComparison, BaseRequest, compare_with_base
from gradience.shell.null_draws import null_for
from gradience.shell.workers import map_in_order

PARALLEL_ELEMENTS = 2**24
"""Factors of more elements than this together are worth starting threads for."""


@attrs.frozen(kw_only=True)
class AuditRequest:
    """What to audit, and against what."""

    place: Path = Path()
    """The adapter's folder or weight file."""
    adapter_config: Path | None = None
    weights: Path | None = None
    initial: Path | None = None
    """The adapter that training began with, whose factors are taken away; initialisations that move
    base weight need it."""
    base: BaseRequest | None = None
    options: ModuleOptions = ModuleOptions()
    policy: AuditPolicy = AuditPolicy()
    on_module: Callable[[int, int], None] | None = None
    """Told after each step how many of how many are done."""


@attrs.frozen
class _OpenAdapter:
    """An adapter whose header has been read."""

    contents: AdapterContents
    weights: AdapterWeights
    initial: InitialFactors | None = None


def run_audit(request: AuditRequest, name: str | None = None) -> AuditReport:
    """Audits an adapter on disk.

    Args:
        request: What to audit.
        name: The address that ``request.place`` is a copy of, for the report.

    Returns:
        The report.

    Raises:
        AdapterError: Files are missing or damaged.
        UnsupportedAdapterError: The adapter is of a kind that is named and declined, or holds no
            LoRA pair.
        ConfigError: The configuration is damaged.
        BaseModelError: The base model cannot be read.
    """
    place = find_adapter(request.place, request.adapter_config, request.weights)
    weights = open_weights(place.weights)
    shown = partial(_shown, request.place, name)
    source = AuditSource(
        peft_dir=name or str(request.place),
        adapter_config_path=None if place.config is None else shown(place.config),
        adapter_weights_path=shown(place.weights),
        base_model=request.base.model if request.base else None,
    )
    file = AdapterFile(
        tensors=weights.tensors,
        scalars=weights.scalars(),
        metadata=weights.metadata,
        config=read_config(place.config),
        config_place=shown(place.config or place.folder / ADAPTER_CONFIG),
        place=shown(place.weights),
    )
    twins = _twin_findings(weights, place.twin)
    return audit_weights(source, file, weights, request, findings=twins, place=place)


def _twin_findings(weights: AdapterWeights, twin: Path | None) -> Iterator[Finding]:
    if twin is not None:
        from gradience.shell.adapters.twin import compare_with_bin

        yield from compare_with_bin(weights, twin)


def _shown(place: Path, name: str | None, path: Path) -> str:
    """A file as the report names it: within the address that the place is a copy of."""
    folder = place if place.is_dir() else place.parent
    if name is None or Path(name) == place or path.parent != folder:
        return str(path)
    address = name if place == folder else name.rpartition("/")[0]
    return f"{address.rstrip('/')}/{path.name}"


def audit_weights(
    source: AuditSource,
    file: AdapterFile,
    weights: AdapterWeights,
    request: AuditRequest,
    *,
    findings: Iterable[Finding] = (),
    place: AdapterPlace | None = None,
) -> AuditReport:
    """Audits an adapter whose weights are open; errors as :func:`run_audit`."""
    adapter = _open(file, weights, request, place)
    steps = _steps(request, adapter.contents)
    base = compare_with_base(request.base, adapter.contents, partial(_factors, adapter), steps.told)
    modules: list[ModuleAudit] = []
    for done, group in enumerate(_audit_pairs(adapter, base, request), 1):
        modules.extend(group)
        steps.told(done + steps.before)
    rows = [module.row for module in modules]
    found = (
        *findings,
        *structure_findings(adapter.contents),
        *(adapter.initial.findings if adapter.initial else ()),
        *training_findings(rows),
        *size_findings(rows, request.policy.findings),
        *noise_findings(rows, request.policy.findings),
        *base.findings,
    )
    return assemble(source, modules, adapter.contents, found, request.policy)


def _open(
    file: AdapterFile,
    weights: AdapterWeights,
    request: AuditRequest,
    place: AdapterPlace | None,
) -> _OpenAdapter:
    contents = read_adapter(file)
    if not contents.pairs and not contents.incomplete:
        raise UnsupportedAdapterError(unknown_layout(file))
    moved = contents.config.initialisation_in_factors if contents.config else None
    if moved is None and request.initial is None:
        return _OpenAdapter(contents, weights)
    initial = find_initial(moved, contents, place, request.initial)
    if initial is None and moved is not None:
        raise refuse_moved_weights(moved, file.config_place)
    return _OpenAdapter(contents, weights, initial)


@attrs.frozen
class _Steps:
    """How far the work is: base weights first, then modules."""

    on_module: Callable[[int, int], None] | None
    before: int
    total: int

    def told(self, done: int) -> None:
        if self.on_module is not None:
            self.on_module(done, self.total)


def _steps(request: AuditRequest, contents: AdapterContents) -> _Steps:
    pairs = len(contents.pairs)
    before = pairs if request.base else 0
    return _Steps(request.on_module, before, before + pairs)


def _audit_pairs(
    adapter: _OpenAdapter, base: BaseComparison, request: AuditRequest
) -> Iterator[Sequence[ModuleAudit]]:
    """Every pair's audits: one, or one for each expert."""
    pairs = adapter.contents.pairs
    size = sum(pair.a.size + pair.b.size for pair in pairs)
    audit = partial(_audit_pair, adapter, base, request.options)
    return map_in_order(audit, pairs, parallel=size > PARALLEL_ELEMENTS)


def _audit_pair(
    adapter: _OpenAdapter, base: BaseComparison, options: ModuleOptions, pair: LoraPair
) -> Sequence[ModuleAudit]:
    problem = pair_problem(pair)
    if problem is not None:
        return [unreadable_module(pair, problem)]
    if is_pruned(pair):
        return [pruned_module(pair)]
    # A difference of two products is no random B·A of that rank.
    null = None if adapter.initial else null_for(pair.rank, *pair.update_shape)
    return [
        base.mark(
            audit_module(
                pair,
                update,
                base=base.norms.get((pair.module, update.expert)),
                null=null,
                options=options,
            ),
            (pair.module, update.expert),
        )
        for update in _factors(adapter, pair)
    ]


def _factors(adapter: _OpenAdapter, pair: LoraPair) -> Iterator[UpdateFactors]:
    """The factors of a pair's updates, the initial ones taken away where there are any."""
    load = adapter.weights.load
    values = None if pair.values is None else load(pair.values.name)
    updates = update_factors(pair, load(pair.a.name), load(pair.b.name), values)
    if adapter.initial is None:
        return updates
    return map(difference_factors, updates, adapter.initial.updates(pair))
