"""Findings that the numbers give: modules that do nothing, updates that dwarf their weight."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs
import msgspec

from gradience.core.adapter.module_names import shared_path
from gradience.core.audit.findings import listed
from gradience.core.audit.report import Finding, LayerRow, ModuleStatus
from gradience.core.numbers import counted
from gradience.core.severity import Severity


@attrs.frozen(kw_only=True)
class FindingPolicy:
    """When a number is worth a finding."""

    dwarfing_udr: float = 1.0
    """UDR from which on an update outweighs its base weight: its largest singular value exceeds
    the weight's own (an inference from the definition; no study gives a bound)."""
    noise_z: float = 3.0
    """A module whose stable and effective rank both lie within this many standard deviations of
    the null's looks like noise (three: 0.3 % of a normal distribution lie beyond)."""


def training_findings(rows: Sequence[LayerRow]) -> Iterator[Finding]:
    """Modules that training never reached, or that AdaLoRA pruned away."""
    pruned = [row.name for row in rows if row.status is ModuleStatus.PRUNED]
    if pruned:
        yield Finding(
            severity=Severity.INFO,
            code="pruned_modules",
            message=f"AdaLoRA pruned {len(pruned)} of {len(rows)} modules to rank 0: "
            f"{common_path(pruned, [row.name for row in rows])}",
            modules=tuple(pruned),
        )
    dead = [row.name for row in rows if row.status is ModuleStatus.UNTRAINED and row.scale]
    if not dead:
        return
    if len(dead) + len(pruned) == len(rows):
        yield Finding(
            severity=Severity.WARNING,
            code="untrained",
            message=f"every update ({len(dead)}) is exactly zero: the adapter does nothing",
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
            message=f"no UDR for {counted(len(modules), 'module')} ({listed(modules)}): {reason}",
            remedy="Name the base model that the adapter was trained on.",
            modules=tuple(modules),
        )


def size_findings(rows: Sequence[LayerRow], policy: FindingPolicy) -> Iterator[Finding]:
    """Updates that outweigh the base weight that they are added to."""
    large = [row for row in rows if (row.udr or 0.0) > policy.dwarfing_udr]
    if large:
        worst = max(large, key=lambda row: row.udr or 0.0)
        yield Finding(
            severity=Severity.WARNING,
            code="update_dwarfs_base",
            message=f"{len(large)} of {len(rows)} updates are larger than their base weight (UDR "
            f"above {policy.dwarfing_udr:g}), most of all {worst.name} (UDR {worst.udr:.3g})",
            remedy="The model is no longer the base model there: lower the learning rate or alpha, "
            "and compare on tasks that the base model does well.",
            modules=tuple(row.name for row in large),
        )


def noise_findings(rows: Sequence[LayerRow], policy: FindingPolicy) -> Iterator[Finding]:
    """Updates that no quantity tells from a random one."""
    alike = [row.name for row in rows if like_noise(row, policy)]
    if alike:
        yield Finding(
            severity=Severity.INFO,
            code="like_noise",
            message=f"{len(alike)} of {len(rows)} updates look like noise: stable and effective "
            f"rank within {policy.noise_z:g} standard deviations of a random B·A of the same shape",
            remedy="Their ranks say nothing of structure. Hardly trained, or not at all?",
            modules=tuple(alike),
        )


def like_noise(row: LayerRow, policy: FindingPolicy) -> bool:
    """Whether both ranks lie close to the null's; at rank 1 there is nothing to tell by."""
    z = row.stable_rank_z, row.effective_rank_z
    return all(value is not None and abs(value) <= policy.noise_z for value in z)


def quantised_findings(schemes: Iterable[str]) -> Iterator[Finding]:
    """The caveat of norms of a quantised base."""
    names = sorted(schemes)
    if names:
        yield Finding(
            severity=Severity.INFO,
            code="quantised_base",
            message=f"the base is quantised ({', '.join(names)}): UDR is against its dequantised "
            "weights, those that a QLoRA adapter was trained on. Merged into the weights before "
            "quantisation, or quantised again after merging, the model is another one",
        )


def cache_finding(code: str, problem: str) -> Finding:
    """Something about the file that keeps base norms: the audit took longer, or the next will."""
    return Finding(
        severity=Severity.WARNING,
        code=code,
        message=problem,
        remedy="Name a file in a folder you may write to with --base-norms-cache.",
    )


def group_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding for each problem: equal code and remedy are put together, worst first."""
    groups: dict[tuple[str, str, Severity], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.remedy, finding.severity), []).append(finding)
    merged = (_merged(group) if _by_module(group) else group for group in groups.values())
    flat = [finding for group in merged for finding in group]
    return tuple(sorted(flat, key=lambda finding: -finding.severity.order))


def _by_module(group: Sequence[Finding]) -> bool:
    """Whether these are one finding for each of several modules."""
    return len(group) > 1 and all(len(finding.modules) == 1 for finding in group)


def _merged(group: Sequence[Finding]) -> list[Finding]:
    first = group[0]
    return [
        msgspec.structs.replace(
            first,
            message=f"{len(group)} modules, the first {first.message}",
            modules=tuple(module for finding in group for module in finding.modules),
        )
    ]


def common_path(chosen: Sequence[str], everything: Iterable[str]) -> str:
    """Names a group of modules by the path that they share and no other module does."""
    prefix = ".".join(shared_path(name.split(".") for name in chosen))
    inside = [name for name in everything if name == prefix or name.startswith(prefix + ".")]
    if prefix and len(inside) == len(chosen):
        return f"everything under {prefix}"
    return listed(chosen)
