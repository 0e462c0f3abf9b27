"""``trainer_state.json`` and bare ``log_history`` lists, as the events of one run."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.convert import convert_rows
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.line_formats import checkpoint_name
from gradience.core.foreign_logs.row_values import positive
from gradience.core.foreign_logs.rows import Found, NumberedRow, RunHead
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.decode import LineIssue

UNBOUNDED_EPOCHS = 2**31
"""From here on ``num_train_epochs`` means "until max_steps": the Trainer writes ``sys.maxsize``
for a data set without a length."""

_EXTRAS = ("train_batch_size", "logging_steps", "eval_steps", "save_steps")

_META_NUMBERS = (
    "best_metric",
    "best_global_step",
    "global_step",
    "epoch",
    "total_flos",
    "num_input_tokens_seen",
)


def convert_trainer_state(
    state: Mapping[str, object], place: str, config: ConfigSnapshot | None = None
) -> Iterator[Found]:
    """Reads a parsed ``trainer_state.json``.

    Args:
        state: The document. Never mutated.
        place: The file, for the message.
        config: What is known of the run's configuration from elsewhere; what the state says of
            length and intervals is put over it.

    Returns:
        An iterator over the events of each row of ``log_history``, numbered from 1.

    Raises:
        TelemetryError: ``log_history`` is no list.
    """
    rows = history(state, place)
    return convert_rows(LogFileKind.TRAINER_STATE, numbered_rows(rows), trainer_head(state, config))


def convert_log_history(rows: Sequence[object]) -> Iterator[Found]:
    """Reads a ``log_history`` that stands alone, as a JSON list."""
    return convert_rows(LogFileKind.LOG_HISTORY, numbered_rows(rows))


def history(state: Mapping[str, object], place: str) -> Sequence[object]:
    """The rows of a trainer state.

    Raises:
        TelemetryError: They are no list.
    """
    rows = state.get("log_history")
    if not isinstance(rows, list):
        raise TelemetryError(
            f"{place}: expected a list of logged rows under 'log_history', found "
            f"{type(rows).__name__}. Name a trainer_state.json as the Trainer writes it."
        )
    return rows


def numbered_rows(rows: Sequence[object]) -> Iterator[NumberedRow]:
    """The items of a list as rows; an item that is no mapping is an issue."""
    for number, row in enumerate(rows, 1):
        if isinstance(row, Mapping):
            yield NumberedRow(number, row)
        else:
            found = f"expected a mapping of logged values, found {type(row).__name__}; not read"
            yield NumberedRow(number, LineIssue(Severity.WARNING, "not_object", found))


def trainer_head(state: Mapping[str, object], config: ConfigSnapshot | None = None) -> RunHead:
    """What a trainer state says of its run: length, intervals, the best checkpoint."""
    config = config or ConfigSnapshot()
    training = msgspec.structs.replace(
        config.training,
        max_steps=positive(state.get("max_steps")) or config.training.max_steps,
        epochs=_epochs(state.get("num_train_epochs")) or config.training.epochs,
        extras={**config.training.extras, **_numbers(state, _EXTRAS)},
    )
    known = msgspec.structs.replace(config, training=training)
    return RunHead(known, _meta(state))


def _meta(state: Mapping[str, object]) -> Mapping[str, object]:
    meta: dict[str, object] = _numbers(state, _META_NUMBERS)
    best = checkpoint_name(state.get("best_model_checkpoint"))
    if best is not None:
        meta["best_model_checkpoint"] = best
    if isinstance(state.get("is_hyper_param_search"), bool):
        meta["is_hyper_param_search"] = state["is_hyper_param_search"]
    trial = state.get("trial_params")
    numbers = _numbers(trial, tuple(trial)) if isinstance(trial, Mapping) else {}
    return {**meta, "trial_params": numbers} if numbers else meta


def _numbers(values: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    return {name: values[name] for name in names if real_number(values.get(name)) is not None}


def _epochs(value: object) -> float | None:
    number = real_number(value)
    return number if number is not None and 0 < number < UNBOUNDED_EPOCHS else None
