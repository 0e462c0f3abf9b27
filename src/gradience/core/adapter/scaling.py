"""Rank, alpha and scaling of one module, by PEFT's own matching rule."""

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from gradience.core.adapter.pattern_cost import most_paths
from gradience.core.adapter.peft_config import PeftLoraConfig
from gradience.core.errors import ConfigError

_PATTERN = r"(.*\.)?({})$"
"""What PEFT makes of a key."""

PATTERNS_KEPT = 8192
"""Compiled pattern keys that are kept: several adapters' worth, in bounded memory."""

MOST_PATHS = 10**7
"""A key that may be tried in more ways on one name is not run: these take some 10 ms (measured),
and four ``.*`` on a name of 60 characters stay below."""

LENGTH_STEP = 32
"""Lengths of names are rounded up to a multiple of this, so that a key is looked at seldom."""

KEY_SHOWN = 80
"""Characters of a key that a message shows."""

ADALORA_EPSILON = 1e-5
"""Added to the rank that AdaLoRA divides by (source: the PEFT package, 0.21)."""


class ModuleScaling(NamedTuple):
    """The scaling of one module's update."""

    r: int
    """The configured rank."""
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
        ConfigError: A key is no regular expression, or one that may take for ever; PEFT itself
            would hang on it.

    References:
        PEFT 0.21, ``peft.utils.other.get_pattern_key``.
    """
    names = tuple(keys)
    for key in names:
        pattern = _compiled(key)  # first, so that what follows is an expression
        _refuse_endless(key, -(-len(module) // LENGTH_STEP) * LENGTH_STEP)
        if pattern.match(module):
            return key
    return module if module in names else None


@lru_cache(maxsize=PATTERNS_KEPT)
def _compiled(key: str) -> re.Pattern[str]:
    """A key's expression; one adapter's patterns may outnumber what ``re`` itself keeps."""
    try:
        return re.compile(_PATTERN.format(key))
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"pattern key {key[:KEY_SHOWN]!r}: expected a regular expression, found {error}. PEFT "
            "matches these keys as regular expressions: escape special characters."
        ) from error


@lru_cache(maxsize=PATTERNS_KEPT)
def _refuse_endless(key: str, length: int) -> None:
    """Passes a key that ends in good time on names of so many characters or fewer."""
    paths = most_paths(_PATTERN.format(key), length)
    if paths > MOST_PATHS:
        count = "endlessly many" if math.isinf(paths) else f"{paths:.0e}"
        raise ConfigError(
            f"pattern key {key[:KEY_SHOWN]!r}: expected an expression that ends in good time, "
            f"found one that may be tried in {count} ways on a name of {length} characters. "
            "PEFT itself may hang on it: write out the modules' names."
        )


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


def scaling_of_alpha(alpha: float | None, r: int) -> ModuleScaling:
    """The scaling where the file holds an alpha per module; without one s is 1 (alpha = rank)."""
    alpha = float(r) if alpha is None else alpha
    return ModuleScaling(r, alpha, alpha / r if r else 0.0)


def adalora_scaling(alpha: float, rank_number: float) -> float:
    """S = α/(rank_number + 1e-5), AdaLoRA's factor of B·diag(E)·A.

    An alpha of zero or below stands for rank_number (source: the PEFT package's AdaLoraLayer,
    0.21).

    Args:
        alpha: ``lora_alpha``.
        rank_number: PEFT's ``ranknum``, the initial rank, which pruning leaves as it is.

    Returns:
        The factor; infinite where a damaged file's rank_number makes the divisor zero.
    """
    divisor = rank_number + ADALORA_EPSILON
    return (alpha if alpha > 0 else rank_number) / divisor if divisor else math.inf


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
