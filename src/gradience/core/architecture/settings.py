"""Values of a config.json, found under any of their names, with the model's defaults."""

from collections.abc import Mapping, Sequence

import attrs

from gradience.core.errors import ConfigError

MOST_LAYERS = 10_000
"""Repeats beyond this are a damaged file: the deepest published models have some hundred."""


LARGEST_SIZE = 10**8
"""The same of any size: the largest vocabularies have some million entries."""


@attrs.frozen
class Settings:
    """A model's settings as its config.json has them."""

    values: Mapping[str, object]

    def size(self, *names: str, default: int | None = None) -> int:
        """A whole number under the first of the names that has one.

        Raises:
            ConfigError: It stands under none of them and has no default, or is no whole number.
        """
        for name in names:
            value = self.values.get(name)
            if value is not None:
                return _whole(name, value)
        if default is None:
            raise ConfigError(f"config.json does not say {names[0]}")
        return default

    def known(self, *names: str) -> bool:
        """Whether one of the names has a value."""
        return any(self.values.get(name) is not None for name in names)

    def flag(self, name: str, *, default: bool) -> bool:
        """A switch; a value that is none counts as absent."""
        value = self.values.get(name)
        return value if isinstance(value, bool) else default

    def text(self, name: str, default: str = "") -> str:
        """A word; a value that is none counts as absent."""
        value = self.values.get(name)
        return value if isinstance(value, str) else default

    def sizes(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """A list of whole numbers.

        Raises:
            ConfigError: One of them is none.
        """
        value = self.values.get(name)
        items = value if isinstance(value, list | tuple) else default
        return tuple(_whole(name, item) for item in items)

    def inner(self, name: str, defaults: Mapping[str, object] | None = None) -> "Settings":
        """The settings of a part, such as ``text_config``, over the defaults of its class."""
        value = self.values.get(name)
        found = value if isinstance(value, Mapping) else {}
        return Settings({**(defaults or {}), **{str(key): item for key, item in found.items()}})

    def layers(self, *names: str) -> int:
        """A number of layers.

        Raises:
            ConfigError: It is absent, negative or beyond any model.
        """
        count = self.size(*names)
        if count > MOST_LAYERS:
            raise ConfigError(f"config.json says {names[0]} is {count}")
        return count

    @property
    def labels(self) -> int:
        """Classes of a classification head; two where nothing is said, as in transformers."""
        named = self.values.get("id2label")
        default = len(named) if isinstance(named, Mapping) else DEFAULT_LABELS
        return self.size("num_labels", "_num_labels", default=default)


DEFAULT_LABELS = 2
"""transformers' PreTrainedConfig."""


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"config.json says {name} is {value!r}, not a whole number")
    if not 0 <= value <= LARGEST_SIZE:
        raise ConfigError(f"config.json says {name} is {value}")
    return value
