"""From the tensor names of an adapter file to LoRA pairs; every tensor is accounted for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import attrs

MATRIX_DIMENSIONS = 2

PEFT_PREFIX = "base_model.model."
"""Put by PEFT before every module name in a saved adapter."""

_FACTOR = re.compile(r"^(?P<module>.+)\.lora_(?P<side>[AB])(?:\.(?P<adapter>[^.]+))?\.weight$")
_WRAPPERS = re.compile(r"\.(?:modules_to_save(?:\.default)?|original_module)(?=\.|$)")


class TensorInfo(NamedTuple):
    """A tensor as the file's header describes it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """safetensors' name of the type: ``F32``, ``BF16`` …"""


class TensorKind(Enum):
    """What a tensor that is no LoRA factor is."""

    BIAS = "bias"
    BASE_COPY = "copy of a base weight"
    ORIGINAL_MODULE = "copy of a module before training"
    SAVED_MODULE = "module saved whole"
    DORA_MAGNITUDE = "DoRA magnitude"
    LORA_BIAS = "bias of a LoRA factor"
    EMBEDDING_FACTOR = "embedding LoRA factor"
    ADALORA = "AdaLoRA value or mask"
    TRAINABLE_TOKENS = "trained token rows"
    UNREAD_FACTOR = "LoRA tensor of a form that is not read yet"


@attrs.frozen
class LoraPair:
    """The two factors of one module's update B·A."""

    module: str
    """Name in the base model, without PEFT's prefix."""
    a: TensorInfo
    """lora_A, shape (r, d_in)."""
    b: TensorInfo
    """lora_B, shape (d_out, r)."""


@attrs.frozen(kw_only=True)
class TensorSorting:
    """Every tensor of a file, each in exactly one place."""

    pairs: tuple[LoraPair, ...]
    copies: tuple[LoraPair, ...]
    """Further copies of a pair, under ``modules_to_save`` or ``original_module``."""
    other_adapters: tuple[LoraPair, ...]
    """Pairs of further adapters in the same file, under another adapter name."""
    incomplete: tuple[TensorInfo, ...]
    """A lora_A without its lora_B, or the reverse."""
    others: tuple[tuple[TensorInfo, TensorKind], ...]


def sort_tensors(tensors: Iterable[TensorInfo]) -> TensorSorting:
    """Pairs the LoRA factors of a PEFT adapter and names everything else.

    Args:
        tensors: The tensors of the file.

    Returns:
        Pairs in the order of their lora_A in the file; a pair stored several times (PEFT does so
        when a target is also a saved module) counts once, the other copies apart.
    """
    sides: dict[tuple[str, str], dict[str, TensorInfo]] = {}
    others: list[tuple[TensorInfo, TensorKind]] = []
    for tensor in tensors:
        match = _FACTOR.match(tensor.name)
        if match is None or len(tensor.shape) != MATRIX_DIMENSIONS:
            others.append((tensor, _kind(tensor.name)))
            continue
        key = (match["module"], match["adapter"] or "")
        sides.setdefault(key, {})[match["side"]] = tensor
    complete = {key: side for key, side in sides.items() if side.keys() == {"A", "B"}}
    incomplete = [t for key, side in sides.items() if key not in complete for t in side.values()]
    first_adapter = next((adapter for _, adapter in complete), "")
    named = {key: _pair(key[0], side) for key, side in complete.items()}
    pairs, copies = _split_copies(
        {raw: pair for (raw, adapter), pair in named.items() if adapter == first_adapter}
    )
    return TensorSorting(
        pairs=pairs,
        copies=copies,
        other_adapters=tuple(p for (_, name), p in named.items() if name != first_adapter),
        incomplete=tuple(incomplete),
        others=tuple(others),
    )


def lora_module(tensor_name: str) -> str | None:
    """The module that a LoRA tensor of any form belongs to, or None for another tensor."""
    module, found, _ = tensor_name.partition(".lora_")
    return base_module_name(module) if found else None


def base_module_name(module: str) -> str:
    """A module's name in the base model: PEFT's prefix and wrapper names taken away."""
    while module.startswith(PEFT_PREFIX):
        module = module.removeprefix(PEFT_PREFIX)
    return _WRAPPERS.sub("", module)


def _pair(raw_module: str, side: Mapping[str, TensorInfo]) -> LoraPair:
    return LoraPair(base_module_name(raw_module), side["A"], side["B"])


def _split_copies(
    by_raw_name: Mapping[str, LoraPair],
) -> tuple[tuple[LoraPair, ...], tuple[LoraPair, ...]]:
    by_module: dict[str, list[tuple[str, LoraPair]]] = {}
    for raw, pair in by_raw_name.items():
        by_module.setdefault(pair.module, []).append((raw, pair))
    pairs: list[LoraPair] = []
    copies: list[LoraPair] = []
    for group in by_module.values():
        first, *rest = sorted(group, key=lambda entry: _copy_order(entry[0]))
        pairs.append(first[1])
        copies.extend(pair for _, pair in rest)
    return tuple(pairs), tuple(copies)


def _copy_order(raw_module: str) -> int:
    """The plain name first, the trained copy next, the untrained original last."""
    if ".original_module" in raw_module:
        return 2
    return 1 if ".modules_to_save" in raw_module else 0


_KINDS: Sequence[tuple[str, TensorKind]] = (
    ("lora_magnitude_vector", TensorKind.DORA_MAGNITUDE),
    ("lora_embedding_", TensorKind.EMBEDDING_FACTOR),
    ("lora_E", TensorKind.ADALORA),
    ("ranknum", TensorKind.ADALORA),
    ("token_adapter", TensorKind.TRAINABLE_TOKENS),
    ("trainable_tokens_", TensorKind.TRAINABLE_TOKENS),
    (".original_module.", TensorKind.ORIGINAL_MODULE),
    (".base_layer.", TensorKind.BASE_COPY),
    (".modules_to_save.", TensorKind.SAVED_MODULE),
)


def _kind(name: str) -> TensorKind:
    if re.search(r"\.lora_[AB]\b", name):
        return TensorKind.LORA_BIAS if name.endswith(".bias") else TensorKind.UNREAD_FACTOR
    for part, kind in _KINDS:
        if part in name:
            return kind
    if ".lora_" in name:
        return TensorKind.UNREAD_FACTOR
    return TensorKind.BIAS if name.endswith(".bias") else TensorKind.SAVED_MODULE
