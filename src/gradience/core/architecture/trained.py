"""The tensors that a training updates and saves: factors, magnitudes, biases, whole modules."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from gradience.core.adapter.scaling import ModuleScaling
from gradience.core.architecture.adapter_settings import INPUT_EMBEDDING, AdapterSettings
from gradience.core.architecture.default_targets import EMBEDDING_NAMES
from gradience.core.architecture.matching import has_suffix
from gradience.core.architecture.modules import Architecture, ModelModule, ModuleKind, Shape
from gradience.core.architecture.targets import Adapted, Resolution

FLOAT32_BYTES, HALF_BYTES = 4, 2
HEADER_LENGTH_BYTES = 8
HEADER_ALIGNMENT = 8
"""safetensors pads its header to a multiple of this."""
_HALVES = frozenset({"bfloat16", "bf16", "float16", "fp16", "half"})
_PREFIX = "base_model.model."


class TrainedTensor(NamedTuple):
    """A tensor of the adapter's file."""

    name: str
    shape: Shape
    item_bytes: int
    trained: bool = True
    """False for what is saved beside the trained weights, as embeddings are."""
    embedding: bool = False
    """Whether it is an ``nn.Embedding``'s own weight."""

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """The bytes that these take."""
        return self.size * self.item_bytes


class WeightBytes(NamedTuple):
    """Bytes of one number."""

    factors: int
    """Of LoRA's own weights: PEFT keeps them in float32 unless told otherwise."""
    base: int
    """Of copies of the model's own weights."""


def item_bytes(dtype: str | None) -> int:
    """Bytes of one number of a dtype; float32 for one that is not known."""
    return HALF_BYTES if dtype in _HALVES else FLOAT32_BYTES


def lora_shapes(
    each: Adapted, scaling: ModuleScaling, adapter: AdapterSettings
) -> dict[str, Shape]:
    """Shapes of a module's LoRA tensors, by the last parts of their names.

    Args:
        each: The module or parameter.
        scaling: Its rank.
        adapter: Says whether there are DoRA magnitudes and biases of B.

    References:
        PEFT 0.21, ``peft.tuners.lora.layer``; DoRA: Liu et al. 2024 (arXiv 2402.09353).
    """
    r, module = scaling.r, each.module
    if each.parameter is not None:
        count, d_in, d_out = parameter_features(each)
        return {"lora_A.weight": (r * count, d_in), "lora_B.weight": (d_out, r * count)}
    d_in, d_out, kernel = module.in_features, module.out_features, module.kernel
    if module.kind is ModuleKind.EMBEDDING:
        shapes: dict[str, Shape] = {"lora_embedding_A": (r, d_in), "lora_embedding_B": (d_out, r)}
    else:
        ones = (1,) * len(kernel)
        shapes = {
            "lora_A.weight": (r, d_in, *kernel),
            "lora_B.weight": (d_out, r // module.groups, *ones),
        }
        if adapter.lora_bias:
            shapes["lora_B.bias"] = (d_out,)
    if adapter.lora.use_dora:
        shapes["lora_magnitude_vector"] = (1, d_out, *(1,) * len(kernel)) if kernel else (d_out,)
    return shapes


def parameter_features(each: Adapted) -> tuple[int, int, int]:
    """Experts, d_in and d_out of an adapted parameter; a matrix is one expert.

    Raises:
        ValueError: There is no parameter, or it is neither a matrix nor a stack of them.
    """
    shape = each.parameter.shape if each.parameter is not None else ()
    match shape:
        case (d_out, d_in):
            return 1, d_in, d_out
        case (count, first, last):
            return (count, first, last) if each.module.transposed else (count, last, first)
        case _:
            raise ValueError(f"{each.name} has the shape {shape}")


def trained_tensors(
    architecture: Architecture,
    resolution: Resolution,
    scalings: list[ModuleScaling],
    weights: WeightBytes,
) -> tuple[TrainedTensor, ...]:
    """Every tensor that is trained or saved.

    Args:
        architecture: The model.
        resolution: What the adapter reaches of it.
        scalings: The rank of each adapted module, in the resolution's order.
        weights: Bytes of a number.
    """
    return (
        *_factors(resolution, scalings, weights),
        *_saved_modules(resolution, weights),
        *_biases(architecture, resolution, weights),
        *_tokens(architecture, resolution.adapter, weights),
        *_embeddings(architecture, resolution, weights),
    )


def _factors(
    resolution: Resolution, scalings: list[ModuleScaling], weights: WeightBytes
) -> Iterator[TrainedTensor]:
    names = [each.module.name for each in resolution.adapted]
    for index, (each, scaling) in enumerate(zip(resolution.adapted, scalings, strict=True)):
        nested = names[index + 1 :].count(each.module.name) if each.parameter is not None else 0
        place = f"{_PREFIX}{each.module.name}{'.base_layer' * nested}"
        for name, shape in lora_shapes(each, scaling, resolution.adapter).items():
            yield TrainedTensor(f"{place}.{name}", shape, weights.factors)


def _saved_modules(resolution: Resolution, weights: WeightBytes) -> Iterator[TrainedTensor]:
    for module in resolution.saved:
        for parameter in module.parameters:
            yield TrainedTensor(
                f"{_PREFIX}{module.name}.{parameter.name}",
                parameter.shape,
                weights.base,
                embedding=module.kind is ModuleKind.EMBEDDING,
            )


def _biases(
    architecture: Architecture, resolution: Resolution, weights: WeightBytes
) -> Iterator[TrainedTensor]:
    """Biases of the model; ``all`` also saves those that are shared or stand beside a copy."""
    kind = resolution.adapter.lora.bias
    if kind == "none":
        return
    adapted = {each.module.name for each in resolution.adapted}
    saved = {module.name for module in resolution.saved}
    for module in architecture.modules:
        if not (kind == "all" or module.name in adapted):
            continue
        for parameter in module.parameters:
            if parameter.name != "bias":
                continue
            place, trained = module.name, "bias" not in module.shared
            if module.name in adapted:
                place = f"{place}.base_layer"
            elif module.name in saved:
                place, trained = f"{place}.original_module", False
            yield TrainedTensor(f"{_PREFIX}{place}.bias", parameter.shape, weights.base, trained)


def _tokens(
    architecture: Architecture, adapter: AdapterSettings, weights: WeightBytes
) -> Iterator[TrainedTensor]:
    for written, count in adapter.trained_tokens.items():
        wanted = written if written != INPUT_EMBEDDING else architecture.input_embedding
        for module in architecture.modules:
            if wanted is not None and module.name.endswith(wanted) and not module.shared:
                name = f"{_PREFIX}{module.name}.token_adapter.trainable_tokens_delta"
                width = module.parameters[0].shape[-1]
                yield TrainedTensor(name, (count, width), weights.factors)


def _embeddings(
    architecture: Architecture, resolution: Resolution, weights: WeightBytes
) -> Iterator[TrainedTensor]:
    """The base weights of adapted embeddings, which PEFT saves with them."""
    if resolution.adapter.trained_tokens or not _names_embedding(resolution):
        return
    both = (architecture.input_embedding, architecture.output_embedding)
    for each in resolution.adapted:
        if each.parameter is None and each.module.name in both:
            for parameter in each.module.parameters:
                name = f"{_PREFIX}{each.module.name}.base_layer.{parameter.name}"
                yield TrainedTensor(name, parameter.shape, weights.base, trained=False)


def _names_embedding(resolution: Resolution) -> bool:
    targets = resolution.adapter.lora.target_modules
    if not isinstance(targets, str):
        return not set(EMBEDDING_NAMES).isdisjoint(targets or ())
    return any(has_suffix(each.module.name, EMBEDDING_NAMES) for each in resolution.adapted)


def file_bytes(tensors: tuple[TrainedTensor, ...]) -> int:
    """Size of the safetensors file: the numbers, and the header that names them.

    References:
        safetensors' format: 8 bytes of length, a JSON object padded with spaces, the data.
    """
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.n_bytes
        entries[tensor.name] = {
            "dtype": "F32" if tensor.item_bytes == FLOAT32_BYTES else "BF16",
            "shape": tensor.shape,
            "data_offsets": (offset, end),
        }
        offset = end
    header = len(msgspec.json.encode(entries))
    padded = -(-header // HEADER_ALIGNMENT) * HEADER_ALIGNMENT
    return HEADER_LENGTH_BYTES + padded + offset


def saved_size(modules: tuple[ModelModule, ...]) -> int:
    """Parameters of modules that are trained whole."""
    return sum(module.size for module in modules)
