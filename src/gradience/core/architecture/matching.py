"""Whether PEFT takes a module's name for a target, an exclusion or a module to save."""

import re
from collections.abc import Iterable
from functools import lru_cache

from gradience.core.adapter.pattern_cost import most_paths
from gradience.core.adapter.scaling import KEY_SHOWN, LENGTH_STEP, MOST_PATHS
from gradience.core.architecture.adapter_settings import AdapterSettings
from gradience.core.architecture.default_targets import GUARDED_HEADS
from gradience.core.errors import ConfigError

_ANY_LAYER = r".*?\.[^.]*\.(?P<idx>\d+)\."
_SAVED = r"(^|.*\.){}($|\..*)"
_NAMED_LAYER = r"(?:^|.*?\.){}\.(?P<idx>\d+)\."


class Matcher:
    """PEFT's ``check_target_module_exists`` for one adapter.

    Args:
        adapter: The adapter's settings, with ``target_modules`` as names or one expression.

    References:
        PEFT 0.21, ``peft.tuners.tuners_utils``.
    """

    def __init__(self, adapter: AdapterSettings) -> None:
        self._adapter = adapter
        lora = adapter.lora
        self._saved = (*lora.modules_to_save, *GUARDED_HEADS.get(lora.task_type or "", ()))

    def targeted(self, name: str) -> bool:
        """Whether the adapter takes a module.

        Raises:
            ConfigError: A pattern is no expression, or one without a bound.
        """
        return not self.excluded(name) and any(self.matches(each, name) for each in self.targets)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets, an expression as one of them."""
        targets = self._adapter.lora.target_modules
        return (targets,) if isinstance(targets, str) else targets or ()

    def excluded(self, name: str) -> bool:
        """Whether ``exclude_modules`` or ``modules_to_save`` keep a module from being adapted."""
        excluded = self._adapter.exclude_modules
        if isinstance(excluded, str):
            if _fits(excluded, name, whole=True) is not None:
                return True
        elif has_suffix(name, excluded):
            return True
        return any(_fits(_SAVED.format(each), name) is not None for each in self._saved)

    def matches(self, target: str, name: str) -> bool:
        """Whether one target matches a module that is not excluded.

        A name matches a module that it is or ends; only in the latter case does
        ``layers_to_transform`` count.
        """
        if isinstance(self._adapter.lora.target_modules, str):
            return _fits(target, name, whole=True) is not None
        if name == target:
            return True
        if not name.endswith(f".{target}"):
            return False
        layers = self._adapter.layers_to_transform
        return layers is None or self._layer(name) in layers

    def _layer(self, name: str) -> int | None:
        patterns = [_NAMED_LAYER.format(each) for each in self._adapter.layers_pattern]
        for pattern in patterns or [_ANY_LAYER]:
            match = _fits(pattern, name)
            if match is not None:
                return int(match["idx"])
        return None


def has_suffix(name: str, suffixes: Iterable[str]) -> bool:
    """Whether a name is, or ends in the parts of, one of the suffixes."""
    return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)


def _fits(pattern: str, name: str, *, whole: bool = False) -> re.Match[str] | None:
    expression = _compiled(pattern, -(-len(name) // LENGTH_STEP) * LENGTH_STEP)
    return expression.fullmatch(name) if whole else expression.match(name)


@lru_cache(maxsize=1024)
def _compiled(pattern: str, length: int) -> re.Pattern[str]:
    """An expression that ends in good time on names of so many characters."""
    shown = f"the pattern {pattern[:KEY_SHOWN]!r}"
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{shown} is no regular expression: {error}") from error
    if most_paths(pattern, length) > MOST_PATHS:
        raise ConfigError(f"{shown} may match in endlessly many ways")
    return expression
