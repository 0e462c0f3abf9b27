"""What the Hugging Face Trainer's logs mean, by the names of their keys."""

import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import NamedTuple

RUNTIME_SUFFIX = "_runtime"
"""The Trainer puts ``<prefix>_runtime`` into the metrics of every evaluation and prediction."""

LOSS_SUFFIX = "_loss"

EVAL_PREFIX = "eval"

TRAIN_PREFIX = "train"
"""Prefix of the summary that closes a training run."""

SUMMARY_KEYS = frozenset({"total_flos"})
"""Stand in the closing summary of every training, without a prefix."""

SUMMARY_METRICS = frozenset(
    f"{TRAIN_PREFIX}_{name}"
    for name in (
        "loss",
        "runtime",
        "samples",
        "samples_per_second",
        "steps_per_second",
        "tokens_per_second",
    )
)
"""What the Trainer's summary says under ``train_…``. An evaluation with
``metric_key_prefix="train"`` says more: a metric, or its ``…_model_preparation_time``."""


class LogKind(Enum):
    """What a call of ``on_log`` holds."""

    TRAIN_STEP = "train_step"
    EVALUATION = "evaluation"
    """Metrics that ``on_evaluate`` hands over as well."""
    SUMMARY = "summary"
    """The closing summary: run time, mean loss, throughput."""


class SplitMetrics(NamedTuple):
    """The metrics of an evaluation without their prefix, and the split that the prefix names."""

    split: str
    metrics: Mapping[str, object]


def log_kind(logs: Mapping[str, object]) -> LogKind:
    """What a dictionary handed to ``on_log`` holds."""
    if "loss" in logs:
        return LogKind.TRAIN_STEP
    if TRAIN_PREFIX + RUNTIME_SUFFIX in logs:
        return LogKind.EVALUATION if evaluates_training_set(logs) else LogKind.SUMMARY
    if any(key.endswith(RUNTIME_SUFFIX) for key in logs):
        return LogKind.EVALUATION
    return LogKind.TRAIN_STEP


def evaluates_training_set(keys: Collection[str]) -> bool:
    """Whether what stands under ``train_…`` beside its run time is no summary of a training.

    Args:
        keys: Of a row that holds ``train_runtime``.
    """
    said = {key for key in keys if key.startswith(f"{TRAIN_PREFIX}_")}
    return SUMMARY_KEYS.isdisjoint(keys) and not said <= SUMMARY_METRICS


def split_metrics(metrics: Mapping[str, object]) -> SplitMetrics:
    """Takes the prefix off an evaluation's metrics and names the split after it.

    ``eval_loss`` belongs to split ``eval``; with several evaluation sets the Trainer writes
    ``eval_<name>_loss``, which belongs to split ``<name>``; any other prefix is the split.

    Args:
        metrics: As handed to ``on_evaluate`` or ``on_predict``.

    Returns:
        The split and its metrics; keys without the prefix (``epoch``) are kept as they are.
    """
    prefix = _prefix(metrics)
    start = f"{prefix}_"
    split = prefix.removeprefix(f"{EVAL_PREFIX}_") or prefix
    return SplitMetrics(split, {key.removeprefix(start): value for key, value in metrics.items()})


def public_name(name: str | None) -> str | None:
    """A model's or data set's name without the private part of a local path.

    ``organisation/model`` stays; of a path only the last component does.
    """
    if not name:
        return None
    is_path = name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
    parts = [part for part in re.split(r"[/\\]+", name) if part]
    return parts[-1] if is_path and parts else name


def _prefix(metrics: Mapping[str, object]) -> str:
    for suffix in (RUNTIME_SUFFIX, LOSS_SUFFIX):
        for key in metrics:
            if key.endswith(suffix) and key != suffix:
                return key.removesuffix(suffix)
    return EVAL_PREFIX
