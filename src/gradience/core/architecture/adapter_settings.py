"""A LoRA configuration as PEFT would see it, out of a configuration of any tool."""

from collections.abc import Mapping, Sequence

import attrs

from gradience.core.adapter.peft_config import PeftLoraConfig, peft_lora_config
from gradience.core.adapter.peft_methods import LORA
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.config.vocabulary import ALL_LINEAR
from gradience.core.errors import ConfigError

INPUT_EMBEDDING = ""
"""Stands, among the tokens that are trained, for the model's input embedding."""


@attrs.frozen(kw_only=True)
class AdapterSettings:
    """PEFT's LoraConfig, as far as it decides what is trained."""

    lora: PeftLoraConfig
    exclude_modules: tuple[str, ...] | str = ()
    layers_to_transform: tuple[int, ...] | None = None
    layers_pattern: tuple[str, ...] = ()
    lora_bias: bool = False
    trained_tokens: Mapping[str, int] = attrs.field(factory=dict)
    """Embedding's name → how many of its rows are trained."""

    @property
    def targets_all_linear(self) -> bool:
        """Whether ``target_modules`` is PEFT's shorthand."""
        targets = self.lora.target_modules
        return isinstance(targets, str) and targets.lower() == ALL_LINEAR


def adapter_settings(config: ConfigSnapshot) -> AdapterSettings:
    """The adapter's settings of a configuration; defaults are PEFT's.

    Args:
        config: The configuration; its rank is known.

    Raises:
        ConfigError: A value is none that PEFT could take.
    """
    lora = config.lora
    given: dict[str, object] = {
        "r": lora.r,
        "lora_alpha": lora.alpha,
        "target_modules": _target_modules(lora.target_modules),
        "lora_dropout": lora.dropout,
        "bias": lora.bias,
    }
    known = {key: value for key, value in given.items() if value is not None}
    extras = lora.extras
    return AdapterSettings(
        lora=peft_lora_config({**extras, **known, "peft_type": LORA}, "the LoRA configuration"),
        exclude_modules=_names(extras.get("exclude_modules")),
        layers_to_transform=_numbers(extras.get("layers_to_transform")),
        layers_pattern=_as_tuple(extras.get("layers_pattern")),
        lora_bias=bool(extras.get("lora_bias")),
        trained_tokens=_token_counts(extras.get("trainable_token_indices")),
    )


def _target_modules(targets: tuple[str, ...] | str | None) -> list[str] | str | None:
    return list(targets) if isinstance(targets, tuple) else targets


def _names(value: object) -> tuple[str, ...] | str:
    return value if isinstance(value, str) else _as_tuple(value)


def _as_tuple(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _numbers(value: object) -> tuple[int, ...] | None:
    """Layer numbers; PEFT takes an empty list for none given.

    Raises:
        ConfigError: They are no whole numbers.
    """
    if value is None:
        return None
    items: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    numbers = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))
    if len(numbers) != len(items):
        raise ConfigError(f"layers_to_transform: expected layer numbers, found {value!r}")
    return numbers or None


def _token_counts(value: object) -> Mapping[str, int]:
    if isinstance(value, Mapping):
        return {str(name): len(_items(tokens)) for name, tokens in value.items()}
    return {INPUT_EMBEDDING: len(_items(value))} if _items(value) else {}


def _items(value: object) -> Sequence[object]:
    return list(value) if isinstance(value, list | tuple) else []
