"""Hugging Face's words for what the tools call by words of their own."""

import re
from collections.abc import Iterable

from gradience.core.config.typed_keys import given
from gradience.core.telemetry.trainer_logs import public_name

ALL_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the output layer."""

LORA_TYPE = "lora"

QLORA_TYPE = "qlora"

FULL_TYPE = "full"

QLORA_BITS = 4
"""A frozen base of at most so many bits makes LoRA a QLoRA (arXiv 2305.14314)."""

EIGHT_BITS = 8

_ALL_WORDS = frozenset({"all", ALL_LINEAR, "all_linear"})

_PATTERN_MARKS = frozenset("*+?()[]{}|^$\\")
"""Characters of a regular expression that no module's name has."""

_MEMBER = re.compile(r"(?:OptimizerNames|SchedulerType|IntervalStrategy|SaveStrategy)\.\w+")
"""Members of transformers' enums, as ``str`` writes them."""

_DTYPES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
    "fp32": "float32",
    "float": "float32",
    "tf32": "float32",
}

Names = tuple[str, ...] | str | None
"""Module names as the tools write them: a list, one string, or nothing."""


def target_modules(value: Names) -> Names:
    """The targets as PEFT takes them: names, a regular expression, or ``all-linear``.

    A string with commas is a list; one with the marks of a regular expression is kept.
    """
    if isinstance(value, str) and _PATTERN_MARKS & set(value):
        return value
    names = module_names(value)
    return ALL_LINEAR if any(name.lower() in _ALL_WORDS for name in names) else names or None


def module_names(value: Names) -> tuple[str, ...]:
    """Names of modules out of a list or a string with commas; none for None."""
    parts: Iterable[str] = value.split(",") if isinstance(value, str) else value or ()
    return tuple(name.strip() for name in parts if name.strip())


def dtype_name(word: str | None) -> str | None:
    """The name that torch gives a dtype: ``bf16`` and ``torch.bfloat16`` are ``bfloat16``.

    Returns:
        The name; None for None, and for ``auto``, which says that the model decides.
    """
    if word is None:
        return None
    name = word.strip().lower().removeprefix("torch.")
    return None if name == "auto" else _DTYPES.get(name, name)


def enum_value(word: str | None) -> str | None:
    """The value of an enum's member that was written by its name: ``SchedulerType.LINEAR``."""
    if word is None or _MEMBER.fullmatch(word) is None:
        return word
    return word.rpartition(".")[2].lower()


def mixed_precision(*, bf16: bool | str | None, fp16: bool | str | None) -> str | None:
    """The dtype of mixed precision.

    ``bf16: auto`` and ``full`` count as bfloat16, which they take wherever the device has it.
    """
    if is_on(bf16):
        return "bfloat16"
    return "float16" if is_on(fp16) else None


def is_on(value: bool | str | None, /) -> bool:  # noqa: FBT001 (the value that is judged)
    """Whether a switch is on; ``auto`` and other words count as on, ``false`` does not."""
    if isinstance(value, str):
        return value.strip().lower() not in {"", "false", "no", "off", "0", "none"}
    return bool(value)


def finetuning_type(method: str, bits: float | None) -> str:
    """``lora`` on a base of at most four bits is ``qlora``, whatever the tool calls it."""
    if method in {LORA_TYPE, QLORA_TYPE} and bits is not None:
        return QLORA_TYPE if bits <= QLORA_BITS else LORA_TYPE
    return method


def data_sets(names: Iterable[str | None]) -> str | None:
    """The names of data sets, separated by commas, without local paths; None for none."""
    public = dict.fromkeys(name for name in map(public_name, names) if name)
    return ",".join(public) or None


def quantization(
    bits: float | None,
    scheme: str | None,
    compute_dtype: str | None = None,
    double_quant: bool | None = None,  # noqa: FBT001 (a setting, not a switch of this function)
) -> dict[str, object] | None:
    """The description of a quantised base, without what is unknown; None for no quantisation."""
    if bits is None and scheme is None:
        return None
    return given(
        {
            "bits": bits,
            "scheme": scheme,
            "compute_dtype": compute_dtype,
            "double_quant": double_quant,
        }
    )


def bitsandbytes(
    *,
    four: bool | None,
    eight: bool | None,
    quant_type: str | None = None,
    compute_dtype: str | None = None,
    double_quant: bool | None = None,
) -> dict[str, object] | None:
    """What ``load_in_4bit`` and ``load_in_8bit`` mean; None where neither is on."""
    if four:
        return quantization(QLORA_BITS, quant_type, dtype_name(compute_dtype), double_quant)
    return quantization(EIGHT_BITS, "int8") if eight else None
