"""PEFT's layout: adapter_config.json and ``<module>.lora_A.weight``, ``.lora_B.weight``."""

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs

from gradience.core.adapter.pairing import Factor, Pairing, pair_factors
from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.adapter.peft_methods import ADALORA
from gradience.core.adapter.scaling import (
    ModuleScaling,
    adalora_scaling,
    lora_scaling,
    module_scaling,
)
from gradience.core.adapter.tensors import (
    MATRIX_DIMENSIONS,
    STACK_DIMENSIONS,
    AdapterContents,
    FactorForm,
    LoraPair,
    TensorInfo,
    TensorKind,
)

PEFT_LAYOUT = "PEFT"

PEFT_PREFIX = "base_model.model."
"""Put by PEFT before every module name in a saved adapter."""

ADAPTER_SEPARATOR = "\0"
"""Between a module and the adapter's name in a pairing key; no tensor name holds it."""

_FACTOR = re.compile(
    r"^(?P<module>.+)\.lora_(?:embedding_)?(?P<side>[AB])"
    r"(?:\.(?P<adapter>(?!(?:weight|bias)$)[^.]+))?(?:\.weight)?$"
)
_VALUES = re.compile(r"^(?P<module>.+)\.lora_E(?:\.(?P<adapter>[^.]+))?$")
_RANK = re.compile(r"^(?P<module>.+)\.ranknum(?:\.[^.]+)?$")
_WRAPPERS = re.compile(r"\.(?:modules_to_save(?:\.default)?|original_module)(?=\.|$)")
_LAUNCHERS = re.compile(
    r"(?:^|(?<=\.))(?:_fsdp_wrapped_module|_orig_mod|_checkpoint_wrapped_module)\."
)
_BASE_LAYERS = re.compile(r"(?:\.base_layer)+$")

PARAMETER_ORDER = ("gate_up_proj", "gate_proj", "w1", "up_proj", "w3", "down_proj", "w2")
"""The order in which mixture-of-experts modules define their parameters (transformers 5.23).
PEFT wraps them in that order, so the first lies innermost in the tensor names."""


def read_peft(
    tensors: Sequence[TensorInfo], config: PeftLoraConfig, scalars: Mapping[str, float]
) -> AdapterContents:
    """Pairs the LoRA factors of a PEFT adapter and names everything else.

    Args:
        tensors: The tensors of the file.
        config: Its adapter_config.json.
        scalars: Values of its one-element tensors (AdaLoRA's ``ranknum`` in older files).

    Returns:
        Pairs in the order of their first tensor; a pair stored several times (PEFT does so when a
        target is also a saved module) counts once, the other copies apart.
    """
    factors, values, others = _sort(tensors)
    pairing = pair_factors(factors)
    adapters = [key.partition(ADAPTER_SEPARATOR)[2] for key in pairing.complete]
    first = adapters[0] if adapters else ""
    named = _named_pairs(pairing, config, values, scalars)
    pairs, copies = _split_copies(
        {key: pair for key, pair in named.items() if key.endswith(ADAPTER_SEPARATOR + first)}
    )
    further = (p for key, p in named.items() if not key.endswith(ADAPTER_SEPARATOR + first))
    paired = {pair.values for pair in named.values()}
    return AdapterContents(
        layout=PEFT_LAYOUT,
        pairs=pairs,
        copies=copies,
        other_adapters=tuple(further),
        incomplete=pairing.incomplete,
        others=tuple(other for other in others if other[0] not in paired),
        config=config,
    )


def base_module_name(module: str) -> str:
    """A module's name in the base model: prefixes and wrapper names taken away."""
    module = _LAUNCHERS.sub("", module)
    while module.startswith(PEFT_PREFIX):
        module = module.removeprefix(PEFT_PREFIX)
    return _WRAPPERS.sub("", module)


def lora_module(tensor_name: str) -> str | None:
    """The module that a LoRA tensor of any form belongs to, or None for another tensor."""
    module, found, _ = tensor_name.partition(".lora_")
    return base_module_name(module) if found else None


def _sort(
    tensors: Iterable[TensorInfo],
) -> tuple[list[Factor], dict[str, TensorInfo], list[tuple[TensorInfo, TensorKind]]]:
    """Factors and AdaLoRA's values by raw module and adapter, and all that is no factor."""
    factors: list[Factor] = []
    values: dict[str, TensorInfo] = {}
    others: list[tuple[TensorInfo, TensorKind]] = []
    for tensor in tensors:
        match = _FACTOR.match(tensor.name)
        if match is not None and len(tensor.shape) >= MATRIX_DIMENSIONS:
            key = match["module"] + ADAPTER_SEPARATOR + (match["adapter"] or "")
            factors.append(Factor(key, match["side"], tensor))
            continue
        found = _VALUES.match(tensor.name)
        if found is not None:
            values[found["module"] + ADAPTER_SEPARATOR + (found["adapter"] or "")] = tensor
        others.append((tensor, _kind(tensor.name)))
    return factors, values, others


def _named_pairs(
    pairing: Pairing,
    config: PeftLoraConfig,
    values: Mapping[str, TensorInfo],
    scalars: Mapping[str, float],
) -> dict[str, LoraPair]:
    ranks = {match["module"]: x for name, x in scalars.items() if (match := _RANK.match(name))}
    levels: dict[str, int] = {}
    for key in pairing.complete:
        inner = _BASE_LAYERS.sub("", base_module_name(key.partition(ADAPTER_SEPARATOR)[0]))
        levels[inner] = levels.get(inner, 0) + 1
    found: dict[str, LoraPair] = {}
    for key, (a, b) in pairing.complete.items():
        raw = key.partition(ADAPTER_SEPARATOR)[0]
        name = base_module_name(raw)
        inner = _BASE_LAYERS.sub("", name)
        if config.peft_type == ADALORA:
            pair = _adalora_pair(name, a, b, config)
            number = ranks.get(raw) or float(config.init_r)
            found[key] = _with_values(pair, values.get(key), number)
        elif parameters := _targeted_parameters(config, name, a):
            depth = name[len(inner) :].count(".base_layer")
            known = len(parameters) == levels[inner]
            parameter = parameters[levels[inner] - 1 - depth] if known else None
            module = f"{inner}.{parameter}" if parameter else name
            pair = _parameter_pair(module, a, b, config)
            found[key] = attrs.evolve(pair, parameter=parameter)
        else:
            found[key] = _plain_pair(name, a, b, config)
    return found


def _plain_pair(module: str, a: TensorInfo, b: TensorInfo, config: PeftLoraConfig) -> LoraPair:
    stacked = len(a.shape) == len(b.shape) == STACK_DIMENSIONS and b.shape[2] == a.shape[1] != 1
    form = FactorForm.EXPERT_STACK if stacked else FactorForm.MATRICES
    experts = a.shape[0] if stacked else None
    configured = module_scaling(config, module)
    pair = LoraPair(module, a, b, configured, form, experts)
    return attrs.evolve(pair, scaling=_for_rank(configured, pair.rank, config))


def _parameter_pair(name: str, a: TensorInfo, b: TensorInfo, config: PeftLoraConfig) -> LoraPair:
    """A pair of ``target_parameters``: of every expert, where the rank goes into the rows."""
    configured = module_scaling(config, name)
    experts = a.shape[0] // configured.r
    if experts <= 1 or experts * configured.r != a.shape[0]:
        return _plain_pair(name, a, b, config)
    return LoraPair(name, a, b, configured, FactorForm.EXPERT_ROWS, experts)


def _adalora_pair(module: str, a: TensorInfo, b: TensorInfo, config: PeftLoraConfig) -> LoraPair:
    """A pair with the directions that the rank mask keeps, where the file holds more."""
    mask = config.rank_masks.get(module)
    stored = a.shape[0]
    masked = mask is not None and len(mask) == stored and not all(mask)
    kept = tuple(i for i, keep in enumerate(mask or ()) if keep) if masked else None
    rank = stored if mask is None else sum(mask)
    return LoraPair(module, a, b, ModuleScaling(rank, config.lora_alpha, 0.0), kept=kept)


def _with_values(pair: LoraPair, values: TensorInfo | None, rank_number: float) -> LoraPair:
    scale = adalora_scaling(pair.scaling.alpha, rank_number)
    return attrs.evolve(pair, values=values, scaling=pair.scaling._replace(scale=scale))


def _for_rank(configured: ModuleScaling, rank: int, config: PeftLoraConfig) -> ModuleScaling:
    scale = lora_scaling(configured.alpha, max(rank, 1), use_rslora=config.use_rslora)
    return ModuleScaling(configured.r, configured.alpha, scale)


def _is_stack(module: str, a: TensorInfo, config: PeftLoraConfig) -> bool:
    """Whether a factor has more rows than its module's rank: those of several experts."""
    return a.shape[0] > module_scaling(config, module).r


def _targeted_parameters(config: PeftLoraConfig, name: str, a: TensorInfo) -> tuple[str, ...]:
    """The parameters of a factor's module that ``target_parameters`` names, as they are defined.

    A target without a path is of whatever module has such a parameter: of stacks of experts, as
    far as a file can tell.
    """
    module = _BASE_LAYERS.sub("", name)
    found = []
    for target in config.target_parameters:
        path, _, parameter = target.rpartition(".")
        named = module == path or module.endswith("." + path)
        if named if path else _is_stack(name, a, config):
            found.append(parameter)
    order = {name: place for place, name in enumerate(PARAMETER_ORDER)}
    return tuple(sorted(set(found), key=lambda name: (order.get(name, len(order)), name)))


def _split_copies(
    by_key: Mapping[str, LoraPair],
) -> tuple[tuple[LoraPair, ...], tuple[LoraPair, ...]]:
    by_module: dict[str, list[tuple[str, LoraPair]]] = {}
    for key, pair in by_key.items():
        by_module.setdefault(pair.module, []).append((key, pair))
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
    ("lora_E", TensorKind.SINGULAR_VALUES),
    ("ranknum", TensorKind.SCALING),
    ("token_adapter", TensorKind.TRAINABLE_TOKENS),
    ("trainable_tokens_", TensorKind.TRAINABLE_TOKENS),
    (".original_module.", TensorKind.ORIGINAL_MODULE),
    (".base_layer.", TensorKind.BASE_COPY),
    (".modules_to_save.", TensorKind.SAVED_MODULE),
)


def _kind(name: str) -> TensorKind:
    if re.search(r"\.lora_(embedding_)?[AB]\b", name):
        return TensorKind.LORA_BIAS if name.endswith(".bias") else TensorKind.UNREAD_FACTOR
    for part, kind in _KINDS:
        if part in name:
            return kind
    if ".lora_" in name:
        return TensorKind.UNREAD_FACTOR
    return TensorKind.BIAS if name.endswith(".bias") else TensorKind.SAVED_MODULE
