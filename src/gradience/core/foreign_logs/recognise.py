"""Which tool a log belongs to, by its keys."""

import re
from collections.abc import Mapping

from gradience.core.foreign_logs.kinds import LogFileKind

SAMPLED_ROWS = 100
"""Rows of a list that are looked at before it is taken for something else than a log."""

TORCHTUNE_LINE = re.compile(rb"\s*Step \d+ \| [^\s:]+:")
"""How a line of torchtune's DiskLogger begins."""

_SWIFT_SPEEDS = frozenset({"memory(GiB)", "train_speed(iter/s)", "train_speed(s/it)"})

_SWIFT_END = frozenset({"last_model_checkpoint", "best_model_checkpoint", "best_metric"})
"""Keys of the row that closes an ms-swift log, which may be its only one."""

_TRAIN_KEYS = frozenset({"loss", "train_loss", "train/loss", "learning_rate", "lr", "grad_norm"})

_EVAL_STARTS = ("eval_", "eval/", "test_loss", "val_loss", "valid_loss")

_PLACE_KEYS = frozenset({"step", "epoch", "global_step", "iteration", "iter"})


def recognise_row(row: object) -> LogFileKind | None:
    """The kind of log that a line or list item is from; None where it is none.

    Args:
        row: A parsed JSON value.
    """
    if not isinstance(row, Mapping):
        return None
    keys = row.keys()
    if {"current_steps", "total_steps"} <= keys:
        return LogFileKind.LLAMA_FACTORY
    if "global_step/max_steps" in keys or keys >= _SWIFT_END:
        return LogFileKind.MS_SWIFT
    if keys & _SWIFT_SPEEDS and keys & {"iteration", "global_step"}:
        return LogFileKind.MS_SWIFT
    return LogFileKind.STEP_LOG if _is_step(row) else None


def recognise_document(value: object) -> LogFileKind | None:
    """The kind of log that a whole JSON document is; None where it is none.

    Args:
        value: The parsed document.
    """
    if isinstance(value, list):
        kinds = {kind for row in value[:SAMPLED_ROWS] if (kind := recognise_row(row))}
        return LogFileKind.LOG_HISTORY if kinds == {LogFileKind.STEP_LOG} else None
    if not isinstance(value, Mapping):
        return None
    if "log_history" in value:
        return LogFileKind.TRAINER_STATE
    if {"run_info", "train_info"} <= value.keys():
        return LogFileKind.PEFT_RESULT
    return None


def is_torchtune_line(line: bytes) -> bool:
    """Whether a line is one of torchtune's DiskLogger."""
    return TORCHTUNE_LINE.match(line) is not None


def _is_step(row: Mapping[object, object]) -> bool:
    if "schema" in row or "event" in row:
        return False
    named = [key for key in row if isinstance(key, str)]
    tells = "train_runtime" in row or any(
        key in _TRAIN_KEYS or key.startswith(_EVAL_STARTS) for key in named
    )
    return tells and not _PLACE_KEYS.isdisjoint(named)
