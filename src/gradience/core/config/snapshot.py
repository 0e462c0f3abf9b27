"""The configuration snapshot: one shape for what any tool calls its training config."""

from collections.abc import Mapping
from enum import Enum

import msgspec


class TaskProfile(Enum):
    """What kind of task a run fine-tunes for; rules may judge a config by it."""

    EASY_CLASSIFICATION = "easy_classification"
    HARD_REASONING = "hard_reasoning"
    GENERATION = "generation"
    UNKNOWN = "unknown"


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the snapshots: immutable, keyword-only, unknown keys found rather than dropped."""


class OptimizerSnapshot(_Snapshot, frozen=True, kw_only=True):
    """The optimizer and its hyper-parameters."""

    name: str | None = None
    lr: float | None = None
    """Peak learning rate."""
    weight_decay: float | None = None
    betas: tuple[float, ...] | None = None
    eps: float | None = None
    extras: Mapping[str, object] = {}


class LoraSnapshot(_Snapshot, frozen=True, kw_only=True):
    """The adapter's configuration.

    ``alpha_over_r`` is the plain ratio; the scaling that acts on the update may differ from it
    (rsLoRA, patterns) and is :func:`gradience.core.adapter.scaling.lora_scaling`.
    """

    r: int | None = None
    alpha: float | None = None
    alpha_over_r: float | None = None
    target_modules: tuple[str, ...] | str | None = None
    """Module suffixes, or one string: a regular expression or ``"all-linear"``."""
    dropout: float | None = None
    bias: str | None = None
    extras: Mapping[str, object] = {}


class TrainingSnapshot(_Snapshot, frozen=True, kw_only=True):
    """Length, batch and precision of the run."""

    seed: int | None = None
    batch_size: int | None = None
    """Examples per device and step, before gradient accumulation."""
    gradient_accumulation: int | None = None
    max_steps: int | None = None
    epochs: float | None = None
    dtype: str | None = None
    extras: Mapping[str, object] = {}


class ConfigSnapshot(_Snapshot, frozen=True, kw_only=True):
    """Everything known about a run's configuration; unknown values are ``None``, never guessed."""

    model_name: str | None = None
    dataset_name: str | None = None
    task_profile: TaskProfile = TaskProfile.UNKNOWN
    optimizer: OptimizerSnapshot = OptimizerSnapshot()
    lora: LoraSnapshot = LoraSnapshot()
    training: TrainingSnapshot = TrainingSnapshot()
    notes: str | None = None
    extras: Mapping[str, object] = {}


PARTS: Mapping[str, type[msgspec.Struct]] = {
    "optimizer": OptimizerSnapshot,
    "lora": LoraSnapshot,
    "training": TrainingSnapshot,
}
"""The nested parts of a :class:`ConfigSnapshot`, by key."""


def fold_unknown_keys(config: Mapping[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Moves keys that this version does not know into the ``extras`` beside them.

    Args:
        config: A ConfigSnapshot as JSON, possibly of a newer version. Never mutated.

    Returns:
        The same content in the shape that :class:`ConfigSnapshot` accepts, and the dotted names
        of the keys that were moved.
    """
    given = {key: item for key, item in config.items() if key not in PARTS or item is not None}
    folded, moved = _fold(given, ConfigSnapshot)
    for part, struct in PARTS.items():
        value = folded.get(part)
        if isinstance(value, Mapping):
            folded[part], inner = _fold(value, struct)
            moved += tuple(f"{part}.{key}" for key in inner)
    return folded, moved


def without_nulls(config: Mapping[str, object]) -> dict[str, object]:
    """The configuration without the known keys that say nothing (``lora:``, ``r: null``).

    Args:
        config: A ConfigSnapshot as JSON or YAML. Never mutated.

    Returns:
        The same content; ``null`` under an unknown key, or within ``extras``, is kept.
    """
    given = _without_nulls(config, ConfigSnapshot)
    for part, struct in PARTS.items():
        value = given.get(part)
        if isinstance(value, Mapping):
            given[part] = _without_nulls(value, struct)
    return given


def _without_nulls(value: Mapping[str, object], struct: type[msgspec.Struct]) -> dict[str, object]:
    known = set(struct.__struct_fields__)
    return {key: item for key, item in value.items() if item is not None or key not in known}


def _fold(
    value: Mapping[str, object], struct: type[msgspec.Struct]
) -> tuple[dict[str, object], tuple[str, ...]]:
    known = set(struct.__struct_fields__)
    unknown = tuple(key for key in value if key not in known)
    kept = {key: item for key, item in value.items() if key in known}
    if unknown:
        extras = kept.get("extras")
        kept["extras"] = {
            **{key: value[key] for key in unknown},
            **(extras if isinstance(extras, Mapping) else {}),
        }
    return kept, unknown
