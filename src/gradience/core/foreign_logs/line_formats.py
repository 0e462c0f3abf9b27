"""The rows of the logs that are JSON Lines, and of torchtune's text log."""

import re
from collections.abc import Mapping

from gradience.core.foreign_logs.durations import seconds
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.recognise import recognise_row
from gradience.core.foreign_logs.row_values import number_of, positive, progress
from gradience.core.foreign_logs.rows import RowFormat
from gradience.core.foreign_logs.trainer_rows import RowEvents, read_trainer_row
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.decode import LineIssue

FINAL_STATE = "final_state"
"""Kind of the ``metrics`` event that ms-swift's last row becomes; it says not how the run ended."""

MAX_NAMED_KEYS = 6
"""Keys of an unknown row that its issue names."""

_STEP_NAMES = ("step", "global_step", "iteration", "iter")
"""What step logs call the optimizer step, the surest name first."""

_PROGRESS_KEYS = frozenset({"percentage", "remaining_time", "train_speed(s/it)"})
"""Progress as shown to a person: kept beside training steps, no metrics of an evaluation."""

_EVALUATION_KEYS = frozenset({"eval_loss", "predict_loss"})

_PEFT_NAMES = {
    "train loss": "loss",
    "valid accuracy": "val_accuracy",
    "test accuracy": "test_accuracy",
}

_PEFT_TEST_NAMES = {"loss": "train loss"}
"""The row of the test repeats the loss of the last training row."""

_SWIFT_PROGRESS = ("global_step/max_steps", "iteration")

_SWIFT_END = frozenset({"last_model_checkpoint", "best_model_checkpoint"})

_TORCHTUNE_STEP = re.compile(r"\s*Step ([0-9]{1,18}) \| (.*)", re.DOTALL)

_TORCHTUNE_VALUE = re.compile(r"([^\s:]+):(tensor\([^()]*\)|\S+)")

_TENSOR = re.compile(r"tensor\(([^(),\[\]]+)(?:,.*)?\)", re.DOTALL)


def torchtune_row(line: str) -> Mapping[str, object] | None:
    """The row that a line of torchtune's DiskLogger is: ``Step 1 | loss:2.1 lr:2e-05``.

    A value that was a tensor stands there as ``tensor(2.1, device='cuda:0')``.

    Args:
        line: One line.

    Returns:
        ``step`` and the logged values, numbers as numbers; None where it is no such line.
    """
    found = _TORCHTUNE_STEP.fullmatch(line)
    if found is None:
        return None
    values: dict[str, object] = {}
    for name, text in _TORCHTUNE_VALUE.findall(found[2]):
        tensor = _TENSOR.fullmatch(text)
        bare = tensor[1] if tensor else text
        number = number_of(bare)
        values[name] = text if number is None else number
    return {**values, "step": int(found[1])} if values else None


def _llama_factory(row: Mapping[str, object], builder: EventBuilder, ts: float) -> RowEvents:
    if "current_steps" not in row:
        return _unknown(row)
    dropped = {"current_steps", "total_steps"} | _told_time(row)
    known = {key: value for key, value in row.items() if value is not None}
    if "loss" not in known and not _EVALUATION_KEYS.isdisjoint(known):
        dropped |= _PROGRESS_KEYS
    values = {key: value for key, value in known.items() if key not in dropped}
    return read_trainer_row({**values, "step": row.get("current_steps")}, builder, ts)


def _ms_swift(row: Mapping[str, object], builder: EventBuilder, ts: float) -> RowEvents:
    if row.keys() >= _SWIFT_END:
        return _swift_final_state(row, builder, ts)
    step, dropped = row.get("step", row.get("global_step")), _told_time(row) | {"global_step"}
    for name in _SWIFT_PROGRESS:
        place = progress(row.get(name))
        if place is not None:
            step, dropped = place.step, dropped | {name}
    if step is None and recognise_row(row) is None:
        return _unknown(row)
    if "loss" not in row:
        dropped |= _PROGRESS_KEYS
    values = {key: value for key, value in row.items() if key not in dropped}
    return read_trainer_row({**values, "step": step}, builder, ts)


def _swift_final_state(row: Mapping[str, object], builder: EventBuilder, ts: float) -> RowEvents:
    """ms-swift repeats all rows and names its checkpoints and the model in the last one."""
    told: dict[str, object] = {
        key: value
        for key, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and key != "global_step"
    }
    for key in sorted(_SWIFT_END):
        name = checkpoint_name(row[key])
        if name is not None:
            told[key] = name
    step = row.get("global_step")
    place = step if isinstance(step, int) and not isinstance(step, bool) else None
    fits = place if place is not None and abs(place) < 2**63 else None
    return RowEvents((builder.metrics(ts, fits, FINAL_STATE, told, {}),))


def _step_log(row: Mapping[str, object], builder: EventBuilder, ts: float) -> RowEvents:
    """``train/loss`` and ``train_loss`` are the loss where there is no other."""
    name = next((name for name in _STEP_NAMES if name in row), None)
    if row and name is None and recognise_row(row) is None:
        return _unknown(row)
    dropped = _told_time(row)
    values = {key: value for key, value in row.items() if key not in dropped}
    if name is not None:
        values["step"] = values.pop(name)
    for key in row:
        bare = key.removeprefix("train/")
        if bare != key and bare not in values:
            values[bare] = values.pop(key)
    if "loss" not in values and "train_loss" in values and "train_runtime" not in values:
        values["loss"] = values.pop("train_loss")
    return read_trainer_row(values, builder, ts)


def _peft_result(row: Mapping[str, object], builder: EventBuilder, ts: float) -> RowEvents:
    told = {"elapsed time"} if _peft_elapsed(row) is not None else set()
    values = {_PEFT_NAMES.get(key, key): row[key] for key in row if key not in told}
    if "test_accuracy" in values:
        values = {_PEFT_TEST_NAMES.get(key, key): value for key, value in values.items()}
    return read_trainer_row(values, builder, ts)


def checkpoint_name(path: object) -> str | None:
    """The folder's name of a checkpoint, without the path that leads to it."""
    if not isinstance(path, str):
        return None
    parts = [part for part in re.split(r"[/\\]+", path) if part]
    return parts[-1] if parts else None


def _unknown(row: Mapping[str, object]) -> RowEvents:
    keys = ", ".join(list(row)[:MAX_NAMED_KEYS]) or "none"
    found = f"expected the values of a step or an evaluation, found other keys ({keys}); not read"
    return RowEvents((), (LineIssue(Severity.WARNING, "unknown_row", found),))


def _told_time(row: Mapping[str, object]) -> frozenset[str]:
    return frozenset() if _elapsed(row) is None else frozenset({"elapsed_time"})


def _elapsed(row: Mapping[str, object]) -> float | None:
    return seconds(row.get("elapsed_time"))


def _peft_elapsed(row: Mapping[str, object]) -> float | None:
    return real_number(row.get("elapsed time"))


def _untold(row: Mapping[str, object]) -> None:
    """What a row of the Trainer says of time and plan: nothing."""


def _total_steps(row: Mapping[str, object]) -> int | None:
    return positive(row.get("total_steps"))


def _swift_planned(row: Mapping[str, object]) -> int | None:
    places = (progress(row.get(name)) for name in _SWIFT_PROGRESS)
    return next((positive(place.planned) for place in places if place), None)


ROW_FORMATS: Mapping[LogFileKind, RowFormat] = {
    LogFileKind.TRAINER_STATE: RowFormat(read_trainer_row, _untold, _untold),
    LogFileKind.LOG_HISTORY: RowFormat(_step_log, _elapsed, _untold),
    LogFileKind.LLAMA_FACTORY: RowFormat(_llama_factory, _elapsed, _total_steps, writes_text=True),
    LogFileKind.MS_SWIFT: RowFormat(_ms_swift, _elapsed, _swift_planned, writes_text=True),
    LogFileKind.TORCHTUNE: RowFormat(_step_log, _untold, _untold),
    LogFileKind.STEP_LOG: RowFormat(_step_log, _elapsed, _untold),
    LogFileKind.PEFT_RESULT: RowFormat(_peft_result, _peft_elapsed, _untold),
}
"""Kind of log → how its rows are read."""
