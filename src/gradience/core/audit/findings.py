"""Findings about the adapter as a whole: what its config and its tensors say of each other."""

from collections import Counter
from collections.abc import Iterator, Sequence

from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.adapter.peft_layout import base_module_name, lora_module
from gradience.core.adapter.scaling import unmatched_keys
from gradience.core.adapter.tensors import AdapterContents, LoraPair, TensorInfo, TensorKind
from gradience.core.audit.report import Finding
from gradience.core.numbers import counted
from gradience.core.severity import Severity

MAX_LISTED = 8
"""Names listed in a message; the finding's ``modules`` holds all of them."""


def structure_findings(contents: AdapterContents) -> Iterator[Finding]:
    """What the config and the tensors' names and shapes give away, before any weight is read."""
    yield from _notes(contents)
    yield from _incomplete(contents.incomplete)
    yield from _rank_mismatch(contents.pairs)
    yield from _unread(contents.others)
    yield from _copies(contents.copies)
    yield from _stored_again(contents.others)
    yield from _other_adapters(contents.other_adapters)
    yield from _dora(contents)
    if contents.config is not None:
        names = [pair.module for pair in contents.pairs]
        unread = {lora_module(tensor.name) for tensor, _ in contents.others} - {None}
        yield from _unmatched_targets(contents.config, [*names, *(n for n in unread if n)])
        yield from _unmatched_patterns(contents.config, names)


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def twin_finding(name: str, missing: Sequence[str] | None, detail: str) -> Finding:
    """What is wrong with a second weight file beside the audited one.

    Args:
        name: The second file.
        missing: Audited tensors that it does not hold; None where it could not be compared.
        detail: What it holds besides, or why it could not be compared.

    Returns:
        The finding.
    """
    if missing is None:
        return Finding(
            severity=Severity.INFO,
            code="twin_not_compared",
            message=f"{name} lies beside the audited file and was not compared with it: {detail}",
        )
    lost = f"{counted(len(missing), 'tensor')} not in it ({listed(missing)})" if missing else ""
    difference = "; ".join(filter(None, (lost, detail)))
    return Finding(
        severity=Severity.WARNING,
        code="twin_differs",
        message=f"{name} holds other weights than the audited file: {difference}",
        remedy="PEFT loads the .safetensors, older tools the .bin: delete the stale one.",
        modules=tuple(missing),
    )


def initial_finding(method: str | None, place: str, count: int) -> Finding:
    """Says that the initial factors were taken away, and what the ranks mean then."""
    why = f"{method} moved base weight into the factors; " if method else ""
    return Finding(
        severity=Severity.INFO,
        code="initial_subtracted",
        message=f"{why}those of {place} were taken away from {counted(count, 'module')}. "
        "The update is s·(B·A - B₀·A₀), of up to twice the rank; stable "
        "rank / r may exceed 1, and a plain LoRA of rank r holds it only in part",
    )


def _notes(contents: AdapterContents) -> Iterator[Finding]:
    for note in contents.notes:
        yield Finding(severity=Severity.INFO, code="layout_note", message=note)


def _dora(contents: AdapterContents) -> Iterator[Finding]:
    magnitudes = [t for t, kind in contents.others if kind is TensorKind.DORA_MAGNITUDE]
    if magnitudes:
        count = counted(len(magnitudes), "magnitude vector")
        yield Finding(
            severity=Severity.INFO,
            code="dora",
            message=f"DoRA: each output of W + ΔW is rescaled to a learned length ({count}). "
            "That change has full rank and is not in these numbers, which are of "
            "the low-rank part s·B·A alone: its rank can be cut, the vectors stay as they are",
        )
    elif contents.config is not None and contents.config.use_dora:
        yield Finding(
            severity=Severity.WARNING,
            code="dora_without_magnitudes",
            message="the config says use_dora, and the file holds no magnitude vector",
            remedy="PEFT would load the adapter with untrained magnitudes: find the file that "
            "training saved, or set use_dora to false.",
        )


def _incomplete(tensors: Sequence[TensorInfo]) -> Iterator[Finding]:
    if tensors:
        names = [tensor.name for tensor in tensors]
        yield Finding(
            severity=Severity.ERROR,
            code="incomplete_pair",
            message=f"LoRA factors without their other half: {listed(names)}",
            remedy="The file was cut or edited; save the adapter again.",
            modules=tuple(names),
        )


def _rank_mismatch(pairs: Sequence[LoraPair]) -> Iterator[Finding]:
    wrong = [pair for pair in pairs if pair.scaling.r != pair.rank]
    if wrong:
        pair = wrong[0]
        yield Finding(
            severity=Severity.ERROR,
            code="rank_mismatch",
            message=f"another rank than the config's in {counted(len(wrong), 'module')}, such as "
            f"{pair.module}: {pair.rank} in the weights, {pair.scaling.r} in the config. The "
            "audit takes the weights' rank",
            remedy="PEFT cannot load this adapter; find the adapter_config.json it was saved with.",
            modules=tuple(pair.module for pair in wrong),
        )


def _unread(others: Sequence[tuple[TensorInfo, TensorKind]]) -> Iterator[Finding]:
    names = [tensor.name for tensor, kind in others if kind is TensorKind.UNREAD_FACTOR]
    if names:
        shown = [f"{t.name} {t.shape}" for t, kind in others if kind is TensorKind.UNREAD_FACTOR]
        yield Finding(
            severity=Severity.WARNING,
            code="not_audited",
            message=f"{counted(len(names), 'LoRA tensor')} of a form that is not audited: "
            f"{listed(shown)}",
            remedy="The numbers are of the other modules alone. A one-dimensional factor is a "
            "shard that was saved without gathering (DeepSpeed ZeRO-3, FSDP).",
            modules=tuple(names),
        )


def _copies(copies: Sequence[LoraPair]) -> Iterator[Finding]:
    if copies:
        modules = sorted({pair.module for pair in copies})
        yield Finding(
            severity=Severity.INFO,
            code="pair_stored_again",
            message=f"LoRA pairs stored again under modules_to_save or original_module "
            f"({len(copies)} in all), for {listed(modules)}; each module is counted once",
            remedy="A module should be either a LoRA target or in modules_to_save, not both.",
            modules=tuple(modules),
        )


def _stored_again(others: Sequence[tuple[TensorInfo, TensorKind]]) -> Iterator[Finding]:
    """A weight under two names: a head saved whole beside its copy from before training."""
    kinds = {TensorKind.SAVED_MODULE, TensorKind.ORIGINAL_MODULE, TensorKind.BASE_COPY}
    bare = [
        base_module_name(tensor.name).replace(".base_layer", "")
        for tensor, kind in others
        if kind in kinds
    ]
    twice = sorted(name for name, count in Counter(bare).items() if count > 1)
    if twice:
        yield Finding(
            severity=Severity.INFO,
            code="weight_stored_again",
            message=f"stored under several names: {listed(twice)}",
            remedy="PEFT does so where a saved module also has biases or is a target; which one is "
            "loaded depends on its version.",
            modules=tuple(twice),
        )


def _other_adapters(pairs: Sequence[LoraPair]) -> Iterator[Finding]:
    if pairs:
        yield Finding(
            severity=Severity.WARNING,
            code="several_adapters",
            message="the file holds several adapters, of which the first is audited; left out: "
            f"{counted(len(pairs), 'pair')} such as {pairs[0].a.name}",
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
            message=f"target_modules that no LoRA tensor matches: {listed(missing)}",
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
                message=f"{field} keys that no audited module matches: {listed(missing)}",
                remedy="PEFT ignores them and uses the defaults.",
                modules=missing,
            )
