"""From a parsed configuration file of any kind that is known to a ConfigSnapshot.

Every tool has a module of its own, which is imported when a file of its kind is read.
"""

from collections.abc import Callable, Iterable, Mapping

from gradience.core.config.foreign import REFUSED, ConfigKind, config_kind
from gradience.core.config.overlay import overlay, with_ratio
from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import ConfigError

__all__ = ["overlay", "peft_snapshot", "read_config", "training_snapshot", "with_ratio"]

Reader = Callable[[Mapping[str, object], str], ConfigSnapshot]

MAX_DEPTH = 64
"""Levels of a configuration: one that is deeper holds itself, as YAML's aliases allow."""

MAX_VALUES = 200_000
"""Values of a configuration, each as often as it stands in it: aliases may repeat them without
end."""

MAX_KEYS_SHOWN = 6
"""Keys of an unknown file that a message names."""


def read_config(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """Reads a configuration of any kind that is known.

    Args:
        raw: The parsed file.
        place: The file, for messages.

    Returns:
        The snapshot: what the file says, and what its tool does where it is silent; the latter
        is named in ``extras["defaults"]``.

    Raises:
        ConfigError: The file is of a kind that is not read, a value does not fit, or it is nested
            without end.
    """
    kind = config_kind(raw)
    if kind in REFUSED:
        shown = ", ".join([*map(str, raw)][:MAX_KEYS_SHOWN])
        keys = f" (its keys: {shown} …)" if kind is ConfigKind.UNKNOWN else ""
        raise ConfigError(
            f"{place}: expected a configuration of a training or an adapter, found "
            f"{kind.value}{keys}. {REFUSED[kind]}."
        )
    _refuse_endless(raw, place)
    return _READERS[kind](raw, place)


def _refuse_endless(raw: Mapping[str, object], place: str) -> None:
    level: list[object] = [raw]
    count = 0
    for _ in range(MAX_DEPTH):
        level = [item for value in level for item in _within(value)]
        count += len(level)
        if not level or count > MAX_VALUES:
            break
    if level:
        raise ConfigError(
            f"{place}: expected a configuration of at most {MAX_DEPTH} levels and {MAX_VALUES:,} "
            "values, found more: does an alias hold itself? Write the settings out."
        )


def _within(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def peft_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """See :func:`gradience.core.config.peft_reader.peft_snapshot`."""
    from gradience.core.config import peft_reader

    return peft_reader.peft_snapshot(raw, place)


def training_snapshot(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    """See :func:`gradience.core.config.trainer_arguments.training_snapshot`."""
    from gradience.core.config import trainer_arguments

    return trainer_arguments.training_snapshot(raw, place)


def _training_args(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.trainer_reader import training_file_snapshot

    return training_file_snapshot(raw, place)


def _gradience(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.own_reader import gradience_snapshot

    return gradience_snapshot(raw, place)


def _bench(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.own_reader import bench_snapshot

    return bench_snapshot(raw, place)


def _axolotl(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.axolotl import axolotl_snapshot

    return axolotl_snapshot(raw, place)


def _llama_factory(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.llama_factory import llama_factory_snapshot

    return llama_factory_snapshot(raw, place)


def _llama_factory_v1(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.llama_factory_v1 import llama_factory_v1_snapshot

    return llama_factory_v1_snapshot(raw, place)


def _torchtune(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.torchtune import torchtune_snapshot

    return torchtune_snapshot(raw, place)


def _ms_swift(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.ms_swift import ms_swift_snapshot

    return ms_swift_snapshot(raw, place)


def _unsloth(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.unsloth import unsloth_snapshot

    return unsloth_snapshot(raw, place)


def _trl(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.trl import trl_snapshot

    return trl_snapshot(raw, place)


def _mlx(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.mlx import mlx_snapshot

    return mlx_snapshot(raw, place)


def _wandb(raw: Mapping[str, object], place: str) -> ConfigSnapshot:
    from gradience.core.config.wandb import wandb_snapshot

    return wandb_snapshot(raw, place)


_READERS: Mapping[ConfigKind, Reader] = {
    ConfigKind.PEFT: peft_snapshot,
    ConfigKind.TRAINING_ARGS: _training_args,
    ConfigKind.GRADIENCE: _gradience,
    ConfigKind.BENCH: _bench,
    ConfigKind.AXOLOTL: _axolotl,
    ConfigKind.LLAMA_FACTORY: _llama_factory,
    ConfigKind.LLAMA_FACTORY_V1: _llama_factory_v1,
    ConfigKind.TORCHTUNE: _torchtune,
    ConfigKind.MS_SWIFT: _ms_swift,
    ConfigKind.UNSLOTH: _unsloth,
    ConfigKind.TRL: _trl,
    ConfigKind.MLX: _mlx,
    ConfigKind.WANDB: _wandb,
}
