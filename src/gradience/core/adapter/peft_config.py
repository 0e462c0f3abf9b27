"""PEFT's adapter_config.json as a typed value."""

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial

import attrs
import cattrs

from gradience.core.adapter.peft_methods import ADALORA
from gradience.core.errors import ConfigError

ADAPTER_CONFIG = "adapter_config.json"
"""The file that PEFT (and mlx-lm) keep an adapter's configuration in."""

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
    target_parameters: tuple[str, ...] = ()
    layer_replication: tuple[tuple[int, int], ...] = ()
    rank_pattern: Mapping[str, int] = attrs.field(factory=dict)
    alpha_pattern: Mapping[str, float] = attrs.field(factory=dict)
    init_r: int = 12
    """AdaLoRA's rank before pruning."""
    rank_masks: Mapping[str, tuple[bool, ...]] = attrs.field(factory=dict)
    """AdaLoRA's kept directions by module."""
    base_model_name_or_path: str | None = None
    task_type: str | None = None
    extras: Mapping[str, object] = attrs.field(factory=dict)

    @property
    def initialisation_in_factors(self) -> str | None:
        """The initialisation that moved base weight into the factors, or None."""
        init = self.init_lora_weights
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
    if known["peft_type"] == ADALORA and "rank_pattern" in known:
        known["rank_masks"] = known.pop("rank_pattern")
    try:
        config = _CONVERTER.structure({**known, "extras": extras}, PeftLoraConfig)
    except cattrs.ClassValidationError as error:
        problems = "; ".join(problem_list(error, "adapter_config"))
        raise ConfigError(
            f"{place}: {problems}. Correct the value or save the adapter again."
        ) from error
    if min(config.r, config.init_r, *config.rank_pattern.values()) < 1:
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


def _masks(value: object, _: object) -> Mapping[str, tuple[bool, ...]]:
    """AdaLoRA's rank_pattern, ``<module>.lora_E`` → mask, by module."""
    found: dict[str, tuple[bool, ...]] = {}
    for module, mask in _same_mapping(value, None).items():
        if not isinstance(mask, list | tuple) or not all(isinstance(x, bool) for x in mask):
            raise TypeError(f"expected a list of true and false for {module}, found {mask!r}")
        found[module.partition(".lora_E")[0]] = tuple(mask)
    return found


def _layer_ranges(value: object, _: object) -> tuple[tuple[int, int], ...]:
    ranges = value if isinstance(value, list | tuple) else ()
    found = tuple(
        (pair[0], pair[1])
        for pair in ranges
        if isinstance(pair, list | tuple) and [type(end) for end in pair] == [int, int]
    )
    if len(found) != len(ranges) or not isinstance(value, list | tuple):
        raise TypeError(
            f"expected pairs of layer numbers such as [[0, 4], [2, 5]], found {value!r}"
        )
    return found


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
    (Mapping[str, tuple[bool, ...]], _masks),
    (tuple[tuple[int, int], ...], _layer_ranges),
)

_CONVERTER = make_converter()
