"""Memory of an optimizer's states, by the optimizer's name."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import attrs

from gradience.core.architecture.modules import Shape
from gradience.core.architecture.trained import FLOAT32_BYTES, TrainedTensor


@attrs.frozen(kw_only=True)
class StatePolicy:
    """Constants of quantised optimizer states."""

    block: int = 256
    """Numbers that share a scale in bitsandbytes' 8-bit optimizers (its sources, 0.43 and later)
    and in torchao's."""
    block_4bit: int = 128
    """The same of torchao's 4-bit optimizers (its sources)."""
    smallest: int = 4096
    """Tensors below this size keep 32-bit states (bitsandbytes' ``min_8bit_size``; torchao's
    condition is the same)."""


_POLICY = StatePolicy()
Count = Callable[[TrainedTensor], float]


def _plain(tensor: TrainedTensor, *, states: int) -> float:
    """States in the weights' own dtype, as PyTorch's optimizers keep them."""
    return states * tensor.n_bytes


def _quantised(tensor: TrainedTensor, *, states: int, bits: int) -> float:
    """Blocks of small integers with a float32 scale each; embeddings stay in 32 bits.

    References:
        Dettmers et al. 2022 (arXiv 2110.02861); transformers' Trainer overrides embeddings.
    """
    if tensor.embedding or tensor.size < _POLICY.smallest:
        return states * tensor.size * FLOAT32_BYTES
    block = _POLICY.block if bits == EIGHT_BITS else _POLICY.block_4bit
    return states * (tensor.size * bits / BITS_PER_BYTE + tensor.size / block * FLOAT32_BYTES)


def _adafactor(tensor: TrainedTensor) -> float:
    """Row and column means of squared gradients, no first moment (the Trainer's setting).

    References:
        Shazeer & Stern 2018 (arXiv 1804.04235), section 4.
    """
    return _factored(tensor.shape) * FLOAT32_BYTES


def _factored(shape: Shape) -> int:
    size = 1
    for length in shape:
        size *= length
    if len(shape) <= 1:
        return size
    return size // max(shape[-1], 1) + size // max(shape[-2], 1)


EIGHT_BITS, FOUR_BITS, BITS_PER_BYTE = 8, 4, 8
_NONE: Count = partial(_plain, states=0)
_ONE: Count = partial(_plain, states=1)
_TWO: Count = partial(_plain, states=2)
_THREE: Count = partial(_plain, states=3)
_ONE_8BIT: Count = partial(_quantised, states=1, bits=EIGHT_BITS)
_TWO_8BIT: Count = partial(_quantised, states=2, bits=EIGHT_BITS)
_TWO_4BIT: Count = partial(_quantised, states=2, bits=FOUR_BITS)

OPTIMIZERS: Mapping[str, Count] = {
    **dict.fromkeys(
        (
            "adam", "adamw", "adamw_torch", "adamw_torch_fused", "adamw_torch_xla",
            "adamw_torch_npu_fused", "adamw_hf", "adamw_apex_fused", "adamw_bnb_32bit",
            "paged_adamw", "paged_adamw_32bit", "fused_adamw", "schedule_free_adamw",
        ),
        _TWO,
    ),
    **dict.fromkeys(
        ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "adamw_torch_8bit", "adam8bit",
         "adamw8bit", "pagedadamw8bit"),
        _TWO_8BIT,
    ),
    "adamw_torch_4bit": _TWO_4BIT,
    **dict.fromkeys(("lion", "lion_32bit", "paged_lion", "paged_lion_32bit"), _ONE),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit"), _ONE_8BIT),
    **dict.fromkeys(("ademamix", "paged_ademamix_32bit"), _THREE),
    **dict.fromkeys(("adagrad", "rmsprop", "rmsprop_32bit", "schedule_free_sgd"), _ONE),
    "adafactor": _adafactor,
    "sgd": _NONE,
}  # fmt: skip
"""Optimizer → bytes of the states of one tensor (sources: PyTorch, transformers'
trainer_optimizer, bitsandbytes, torchao)."""

_MODULES = ("torch.optim.", "bitsandbytes.optim.", "torchao.optim.", "transformers.")


def optimizer_bytes(
    name: str | None, tensors: Iterable[TrainedTensor], *, momentum: bool = False
) -> int | None:
    """Memory of the optimizer's states for the trained tensors.

    Args:
        name: The optimizer, as Hugging Face or a tool calls it.
        tensors: What is saved; only what is trained counts.
        momentum: Whether SGD is given a momentum.

    Returns:
        Bytes; None for an optimizer that is not named or not known.
    """
    if name is None:
        return None
    short = name.lower().replace("-", "_")
    for module in _MODULES:
        short = short.removeprefix(module)
    count = _ONE if short == "sgd" and momentum else OPTIMIZERS.get(short.rpartition(".")[2])
    if count is None:
        return None
    return round(sum(count(tensor) for tensor in tensors if tensor.trained))
