"""PEFT's adapter_config.json as a typed value."""

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial

import attrs
import cattrs

from gradience.core.errors import ConfigError, UnsupportedAdapterError

LORA = "LORA"
"""The ``peft_type`` whose update is one product B·A per module."""

NO_LOW_RANK_UPDATE: Mapping[str, str] = {
    "ADAPTION_PROMPT": "prompts inside the layers",
    "BOFT": "an orthogonal factor multiplied onto the weight",
    "BONE": "a block-wise additive update of full rank",
    "C3A": "a block-circular convolution",
    "FOURIERFT": "a sparse spectrum in the Fourier basis",
    "HRA": "a product of Householder reflections",
    "IA3": "one scaling vector per module",
    "LN_TUNING": "LayerNorm parameters",
    "LOHA": "a Hadamard product of two low-rank products",
    "LOKR": "a Kronecker product",
    "MISS": "a shard-wise additive update of full rank",
    "MULTITASK_PROMPT_TUNING": "prompt embeddings",
    "OFT": "an orthogonal factor multiplied onto the weight",
    "POLY": "a routed mixture of skills",
    "PREFIX_TUNING": "key and value prefixes",
    "PROMPT_TUNING": "prompt embeddings",
    "P_TUNING": "a prompt encoder",
    "RANDLORA": "sums of fixed random bases of full rank",
    "SHIRA": "a sparse update",
    "TRAINABLE_TOKENS": "rows of the embedding",
    "VBLORA": "a mixture of vectors from a shared bank",
    "VERA": "fixed random factors with trained scaling vectors",
}
"""PEFT types without a low-rank product B·A of their own, and what they learn instead
(source: the PEFT package's tuner documentation, 0.21)."""

NOT_YET: Mapping[str, str] = {
    "ADALORA": "B·diag(E)·A with rank masks",
    "XLORA": "a gated mixture of several LoRA adapters",
}
"""PEFT types with low-rank products in a layout that the audit does not read yet."""

BASE_CHANGING_INITS = ("pissa", "olora", "lora_ga", "corda", "loftq")
"""Values of ``init_lora_weights`` (their beginnings) that move part of the base weight into the
factors, so that B·A is not the update (source: the PEFT package's LoraConfig, 0.21)."""


@attrs.frozen(kw_only=True)
class PeftLoraConfig:
    """What the audit and the checks need of adapter_config.json; defaults are PEFT's own.

    ``extras`` holds every further key as it was read.
    """

    peft_type: str
    r: int = 8
    lora_alpha: float = 8.0
    target_modules: tuple[str, ...] | str | None = None
    lora_dropout: float = 0.0
    fan_in_fan_out: bool = False
    bias: str = "none"
    use_rslora: bool = False
    use_dora: bool = False
    modules_to_save: tuple[str, ...] = ()
    init_lora_weights: bool | str = True
    rank_pattern: Mapping[str, int] = attrs.field(factory=dict)
    alpha_pattern: Mapping[str, float] = attrs.field(factory=dict)
    base_model_name_or_path: str | None = None
    task_type: str | None = None
    extras: Mapping[str, object] = attrs.field(factory=dict)

    @property
    def initialisation_in_factors(self) -> str | None:
        """The initialisation that moved base weight into the factors, or None."""
        init = self.init_lora_weights
        if self.extras.get("kasa_config"):
            return "kasa"
        if isinstance(init, str) and init.lower().startswith(BASE_CHANGING_INITS):
            return init
        return None


def peft_lora_config(raw: Mapping[str, object], place: str) -> PeftLoraConfig:
    """Reads a parsed adapter_config.json.

    ``null`` means PEFT's default. Numbers written as strings (YAML's ``5e-5``) are numbers.

    Args:
        raw: The JSON object.
        place: The file, for messages.

    Returns:
        The configuration; for a ``peft_type`` other than LORA the LoRA fields are defaults.

    Raises:
        ConfigError: ``peft_type`` is missing or a value does not fit, with the key's path.
    """
    kind = raw.get("peft_type")
    if not isinstance(kind, str):
        raise ConfigError(
            f"{place}: expected a PEFT adapter_config.json with a string under 'peft_type', "
            f"found {kind!r}. Name the file that PEFT's save_pretrained wrote."
        )
    names = {field.name for field in attrs.fields(PeftLoraConfig)} - {"extras"}
    known = {key: value for key, value in raw.items() if key in names and value is not None}
    extras = {key: value for key, value in raw.items() if key not in names}
    known["peft_type"] = kind.upper()  # PeftType, in LoraConfig.to_dict(), is a string as well
    try:
        config = _CONVERTER.structure({**known, "extras": extras}, PeftLoraConfig)
    except cattrs.ClassValidationError as error:
        problems = "; ".join(problem_list(error, "adapter_config"))
        raise ConfigError(
            f"{place}: {problems}. Correct the value or save the adapter again."
        ) from error
    if config.r < 1 or any(rank < 1 for rank in config.rank_pattern.values()):
        raise ConfigError(
            f"{place}: expected ranks of at least 1 in 'r' and 'rank_pattern', found "
            f"r={config.r} and {dict(config.rank_pattern)}."
        )
    if not all(
        math.isfinite(alpha) for alpha in (config.lora_alpha, *config.alpha_pattern.values())
    ):
        raise ConfigError(
            f"{place}: expected finite numbers in 'lora_alpha' and 'alpha_pattern', found "
            f"lora_alpha={config.lora_alpha} and {dict(config.alpha_pattern)}."
        )
    return config


def require_lora(config: PeftLoraConfig, place: str) -> PeftLoraConfig:
    """The configuration itself, where its update is a low-rank product that can be audited.

    Args:
        config: The configuration.
        place: The file, for messages.

    Returns:
        The configuration.

    Raises:
        UnsupportedAdapterError: The adapter has no low-rank update of its own, its factors hold
            part of the base weight, or its layout is not read yet; the message names which.
    """
    kind = config.peft_type
    if kind in NO_LOW_RANK_UPDATE:
        raise UnsupportedAdapterError(
            f"{place}: expected a LoRA adapter, found peft_type {kind}, which learns "
            f"{NO_LOW_RANK_UPDATE[kind]}: it has no low-rank spectrum to audit."
        )
    if kind != LORA:
        what = NOT_YET.get(kind, "an update that this version does not know")
        raise UnsupportedAdapterError(
            f"{place}: expected a LoRA adapter, found peft_type {kind} ({what}), which this "
            "version does not read yet."
        )
    if config.initialisation_in_factors:
        raise UnsupportedAdapterError(
            f"{place}: init_lora_weights={config.initialisation_in_factors!r} moves part of the "
            "base weight into the factors, so B·A is not the update. Convert it to plain LoRA "
            "first (PiSSA, OLoRA, LoRA-GA, CorDA: save_pretrained with "
            "path_initial_model_for_weight_conversion)."
        )
    return config


def problem_list(error: cattrs.ClassValidationError, path: str) -> list[str]:
    """Every value that did not fit, in the words of the hook that refused it, with its path."""

    def words(exception: BaseException, kind: type | None) -> str:
        if isinstance(exception, TypeError | ValueError | OverflowError):
            return str(exception)
        return cattrs.v.format_exception(exception, kind)

    return cattrs.transform_error(error, path=path, format_exception=words)


def _strict_bool(value: object, _: type) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, found {value!r}")
    return value


def _whole_number(value: object, _: type) -> int:
    number = float(value) if isinstance(value, int | float | str) else math.nan
    if isinstance(value, bool) or not number.is_integer():
        raise TypeError(f"expected a whole number, found {value!r}")
    return int(number)


def _real_number(value: object, _: type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"expected a number, found {value!r}")
    return float(value)


def _text(value: object, _: type) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {value!r}")
    return value


def _module_names(value: object, _: object) -> tuple[str, ...] | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(str(item) for item in value)
    raise TypeError(f"expected a list of module names or one string, found {value!r}")


def _names(value: object, _: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    raise TypeError(f"expected a list of module names, found {value!r}")


def _bool_or_text(value: object, _: object) -> bool | str:
    if isinstance(value, bool | str):
        return value
    raise TypeError(f"expected true, false or a name, found {value!r}")


def _optional_text(value: object, _: object) -> str | None:
    return None if value is None else _text(value, str)


def _same_mapping(value: object, _: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    raise TypeError(f"expected a mapping, found {value!r}")


def make_converter() -> cattrs.Converter:
    """A cattrs converter that is strict about kinds and forgiving about numbers in strings."""
    converter = cattrs.Converter()
    converter.register_structure_hook(bool, _strict_bool)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(float, _real_number)
    converter.register_structure_hook(str, _text)
    for annotation, hook in _GENERIC_HOOKS:
        converter.register_structure_hook_func(partial(operator.eq, annotation), hook)
    return converter


_GENERIC_HOOKS: tuple[tuple[object, Callable[[object, object], object]], ...] = (
    (tuple[str, ...] | str | None, _module_names),
    (tuple[str, ...], _names),
    (bool | str, _bool_or_text),
    (str | None, _optional_text),
    (Mapping[str, object], _same_mapping),
)

_CONVERTER = make_converter()
