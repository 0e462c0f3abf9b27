"""Findings about the adapter as a whole: what its config and its tensors say of each other."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gradience.core.adapter.module_names import shared_path
from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.adapter.scaling import module_scaling, unmatched_keys
from gradience.core.adapter.tensors import (
    LoraPair,
    TensorKind,
    TensorSorting,
    lora_module,
)
from gradience.core.audit.report import Finding, LayerRow, ModuleStatus
from gradience.core.severity import Severity

MAX_LISTED = 8
"""Names listed in a message; the finding's ``modules`` holds all of them."""


def structure_findings(config: PeftLoraConfig, sorting: TensorSorting) -> Iterator[Finding]:
    """What the config and the tensors' names and shapes give away, before any weight is read."""
    yield from _incomplete(sorting)
    yield from _rank_mismatch(config, sorting.pairs)
    yield from _unread(sorting)
    yield from _copies(sorting.copies)
    yield from _other_adapters(sorting.other_adapters)
    names = [pair.module for pair in sorting.pairs]
    unread = {lora_module(tensor.name) for tensor, _ in sorting.others} - {None}
    yield from _unmatched_targets(config, [*names, *(name for name in unread if name)])
    yield from _unmatched_patterns(config, names)
    if config.use_dora or any(k is TensorKind.DORA_MAGNITUDE for _, k in sorting.others):
        yield Finding(
            severity=Severity.INFO,
            code="dora",
            message="DoRA rescales the columns of W + ΔW by a magnitude vector; the audit "
            "measures the low-rank part s·B·A alone",
        )


def training_findings(rows: Sequence[LayerRow]) -> Iterator[Finding]:
    """Modules that training never reached."""
    dead = [row.name for row in rows if row.status is ModuleStatus.UNTRAINED]
    if not dead:
        return
    if len(dead) == len(rows):
        yield Finding(
            severity=Severity.WARNING,
            code="untrained",
            message=f"untrained: all {len(rows)} updates are exactly zero; the adapter does "
            "nothing",
            remedy="Check that the LoRA parameters were in the optimizer and that the trained "
            "weights were the ones saved (DeepSpeed and FSDP need a gathered save).",
            modules=tuple(dead),
        )
        return
    where = common_path(dead, [row.name for row in rows])
    yield Finding(
        severity=Severity.WARNING,
        code="dead_modules",
        message=f"{len(dead)} of {len(rows)} updates are exactly zero: {where}",
        remedy="No gradient reached these modules; leave them out of target_modules or find out "
        "why (frozen or unused branch).",
        modules=tuple(dead),
    )


def base_findings(without_base: Mapping[str, str]) -> Iterator[Finding]:
    """Modules that were not measured against the base model, grouped by the reason."""
    by_reason: dict[str, list[str]] = {}
    for module, reason in without_base.items():
        by_reason.setdefault(reason, []).append(module)
    for reason, modules in by_reason.items():
        yield Finding(
            severity=Severity.WARNING,
            code="no_base_norm",
            message=f"{len(modules)} modules have no UDR ({_listed(modules)}): {reason}",
            remedy="Name the base model that the adapter was trained on.",
            modules=tuple(modules),
        )


def common_path(chosen: Sequence[str], everything: Iterable[str]) -> str:
    """Names a group of modules by the path that they share and no other module does."""
    prefix = ".".join(shared_path(name.split(".") for name in chosen))
    inside = [name for name in everything if name == prefix or name.startswith(prefix + ".")]
    if prefix and len(inside) == len(chosen):
        return f"everything under {prefix}"
    return _listed(chosen)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def _incomplete(sorting: TensorSorting) -> Iterator[Finding]:
    if sorting.incomplete:
        names = [tensor.name for tensor in sorting.incomplete]
        yield Finding(
            severity=Severity.ERROR,
            code="incomplete_pair",
            message=f"LoRA factors without their other half: {_listed(names)}",
            remedy="The file was cut or edited; save the adapter again.",
            modules=tuple(names),
        )


def _rank_mismatch(config: PeftLoraConfig, pairs: Sequence[LoraPair]) -> Iterator[Finding]:
    wrong = [
        (pair, configured)
        for pair in pairs
        if (configured := module_scaling(config, pair.module).r) != pair.a.shape[0]
    ]
    if wrong:
        pair, configured = wrong[0]
        yield Finding(
            severity=Severity.ERROR,
            code="rank_mismatch",
            message=f"{len(wrong)} modules have another rank than the config gives them, such as "
            f"{pair.module}: {pair.a.shape[0]} in the weights, {configured} in the config. The "
            "audit takes the weights' rank",
            remedy="PEFT cannot load this adapter; find the adapter_config.json it was saved with.",
            modules=tuple(pair.module for pair, _ in wrong),
        )


def _unread(sorting: TensorSorting) -> Iterator[Finding]:
    unread_kinds = {
        TensorKind.EMBEDDING_FACTOR,
        TensorKind.ADALORA,
        TensorKind.UNREAD_FACTOR,
    }
    unread = [(tensor, kind) for tensor, kind in sorting.others if kind in unread_kinds]
    if unread:
        kinds = Counter(kind.value for _, kind in unread)
        what = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
        names = [tensor.name for tensor, _ in unread]
        yield Finding(
            severity=Severity.WARNING,
            code="not_audited",
            message=f"tensors that this version does not audit ({what}): {_listed(names)}",
            remedy="The numbers are of the other modules alone.",
            modules=tuple(names),
        )


def _copies(copies: Sequence[LoraPair]) -> Iterator[Finding]:
    if copies:
        modules = sorted({pair.module for pair in copies})
        yield Finding(
            severity=Severity.INFO,
            code="pair_stored_again",
            message=f"{len(copies)} further copies of LoRA pairs under modules_to_save or "
            f"original_module, for {_listed(modules)}; each module is counted once",
            remedy="A module should be either a LoRA target or in modules_to_save, not both.",
            modules=tuple(modules),
        )


def _other_adapters(pairs: Sequence[LoraPair]) -> Iterator[Finding]:
    if pairs:
        yield Finding(
            severity=Severity.WARNING,
            code="several_adapters",
            message=f"the file holds several adapters; {len(pairs)} pairs of the further ones are "
            f"not audited, such as {pairs[0].a.name}",
            remedy="Save each adapter on its own.",
            modules=tuple(pair.a.name for pair in pairs),
        )


def _unmatched_targets(config: PeftLoraConfig, modules: Sequence[str]) -> Iterator[Finding]:
    if isinstance(config.target_modules, str) or not config.target_modules:
        return
    missing = sorted(
        target
        for target in config.target_modules
        if not any(name == target or name.endswith("." + target) for name in modules)
    )
    if missing:
        yield Finding(
            severity=Severity.WARNING,
            code="target_unmatched",
            message=f"target_modules that no LoRA tensor matches: {_listed(missing)}",
            remedy="They were not adapted. Check the names against the base model's modules.",
            modules=tuple(missing),
        )


def _unmatched_patterns(config: PeftLoraConfig, modules: Sequence[str]) -> Iterator[Finding]:
    for field, keys in (
        ("rank_pattern", config.rank_pattern),
        ("alpha_pattern", config.alpha_pattern),
    ):
        missing = unmatched_keys(keys, modules)
        if missing:
            yield Finding(
                severity=Severity.WARNING,
                code="pattern_unmatched",
                message=f"{field} keys that no audited module matches: {_listed(missing)}",
                remedy="PEFT ignores them and uses the defaults.",
                modules=missing,
            )
