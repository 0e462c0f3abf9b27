"""Rank, alpha and scaling of one module, by PEFT's own matching rule."""

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.errors import ConfigError

PATTERNS_KEPT = 8192
"""Compiled pattern keys that are kept: several adapters' worth, in bounded memory."""


class ModuleScaling(NamedTuple):
    """What PEFT configures for one module."""

    r: int
    alpha: float
    scale: float


def matching_key(keys: Iterable[str], module: str) -> str | None:
    r"""The first pattern key that PEFT matches: ``re.match(r"(.*\.)?(KEY)$", module)``.

    Where none matches, a key that is the module's name letter for letter counts as well (a name
    with special characters does not match itself).

    Args:
        keys: Keys of a rank_pattern or alpha_pattern, in their order.
        module: The module's name in the base model.

    Returns:
        The key, or None.

    Raises:
        ConfigError: A key is no regular expression.

    References:
        PEFT 0.21, ``peft.utils.other.get_pattern_key``.
    """
    names = tuple(keys)
    for key in names:
        if _compiled(key).match(module):
            return key
    return module if module in names else None


@lru_cache(maxsize=PATTERNS_KEPT)
def _compiled(key: str) -> re.Pattern[str]:
    """A key's expression; one adapter's patterns may outnumber what ``re`` itself keeps."""
    try:
        return re.compile(rf"(.*\.)?({key})$")
    except re.error as error:
        raise ConfigError(
            f"pattern key {key!r}: expected a regular expression, found {error}. PEFT matches "
            "these keys as regular expressions: escape special characters."
        ) from error


def lora_scaling(alpha: float, r: int, *, use_rslora: bool) -> float:
    """S = α/r, or α/√r with rsLoRA (Kalajdzievski 2023, arXiv 2312.03732).

    Args:
        alpha: ``lora_alpha``.
        r: The rank, at least 1.
        use_rslora: Whether the rank-stabilised scaling is used.

    Returns:
        The factor s of the update s·B·A.
    """
    return alpha / math.sqrt(r) if use_rslora else alpha / r


def module_scaling(config: PeftLoraConfig, module: str) -> ModuleScaling:
    """Rank, alpha and scaling that PEFT gives to ``module``, patterns included."""
    rank_key = matching_key(config.rank_pattern, module)
    alpha_key = matching_key(config.alpha_pattern, module)
    r = config.r if rank_key is None else config.rank_pattern[rank_key]
    alpha = config.lora_alpha if alpha_key is None else config.alpha_pattern[alpha_key]
    return ModuleScaling(r, alpha, lora_scaling(alpha, r, use_rslora=config.use_rslora))


def unmatched_keys(keys: Iterable[str], modules: Iterable[str]) -> tuple[str, ...]:
    """The pattern keys that no module matches; PEFT ignores them."""
    names = tuple(modules)
    return tuple(key for key in keys if not any(matching_key([key], name) for name in names))
