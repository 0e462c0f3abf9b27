"""Result files of PEFT's method comparison, as the events of one run."""

from collections.abc import Iterator, Mapping

import msgspec

from gradience.core.config.readers import peft_snapshot
from gradience.core.config.snapshot import ConfigSnapshot, OptimizerSnapshot, TrainingSnapshot
from gradience.core.errors import ConfigError, TelemetryError
from gradience.core.foreign_logs.convert import convert_rows
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.row_values import MAX_WHOLE, positive
from gradience.core.foreign_logs.rows import Found, RunHead
from gradience.core.foreign_logs.trainer_rows import TRAIN_SUMMARY
from gradience.core.foreign_logs.trainer_state import numbered_rows
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.events import RunEnd, RunStart, RunStatus
from gradience.core.telemetry.trainer_logs import public_name

_STATUSES = {"success": RunStatus.OK, "failed": RunStatus.ERROR, "canceled": RunStatus.ABORTED}
"""``train_info.status`` → how the run ended."""

_EXTRAS = ("eval_steps", "max_seq_length", "batch_size_eval", "grad_norm_clip", "lr_scheduler")


def convert_peft_result(result: Mapping[str, object], place: str) -> Iterator[Found]:
    """Reads a parsed result file.

    ``train loss`` and ``valid accuracy`` of a row become a training step and an evaluation of
    split ``val``, ``test accuracy`` one of split ``test``; the totals of ``train_info`` become
    ``metrics`` of kind ``train_summary``, its status the ``run_end``: it alone says how the run
    ended, whatever step was reached.

    Args:
        result: The document. Never mutated.
        place: The file, for the message.

    Returns:
        An iterator over the events of each row of ``train_info.metrics``, numbered from 1.

    Raises:
        TelemetryError: ``train_info.metrics`` is no list.
    """
    run, train = _part(result, "run_info"), _part(result, "train_info")
    rows = train.get("metrics")
    if not isinstance(rows, list):
        raise TelemetryError(
            f"{place}: expected a list of rows under 'train_info.metrics', found "
            f"{type(rows).__name__}. Name a result file as PEFT's method comparison writes it."
        )
    config, issues = _config(run)
    found = convert_rows(LogFileKind.PEFT_RESULT, numbered_rows(rows), RunHead(config, _meta(run)))
    return _with_end(found, run, train, issues)


def _with_end(
    found: Iterator[Found],
    run: Mapping[str, object],
    train: Mapping[str, object],
    issues: tuple[LineIssue, ...],
) -> Iterator[Found]:
    builder, ts, step = EventBuilder(run_id=""), 0.0, None
    for number, events, odd in found:
        for event in events:
            ts, step = event.ts, event.step
            if isinstance(event, RunStart):
                builder = EventBuilder(run_id=event.run_id)
        told = tuple(event for event in events if not isinstance(event, RunEnd))
        yield Found(number, told, (*issues, *odd))
        issues = ()
    totals = {key: value for key, value in train.items() if real_number(value) is not None}
    if totals:
        yield Found(0, (builder.metrics(ts, step, TRAIN_SUMMARY, totals, {}),))
    status = _STATUSES.get(str(train.get("status")))
    if status is not None:
        reason = run.get("error_msg")
        words = reason if isinstance(reason, str) and reason else None
        yield Found(0, (builder.run_end(ts, step, status, words, {}),))


def _config(run: Mapping[str, object]) -> tuple[ConfigSnapshot, tuple[LineIssue, ...]]:
    """The run's configuration; an adapter's that does not fit is left out, with an issue."""
    training = _part(run, "train_config")
    adapter = ConfigSnapshot()
    issues: tuple[LineIssue, ...] = ()
    peft = run.get("peft_config")
    if isinstance(peft, Mapping) and "peft_type" in peft:
        try:
            adapter = peft_snapshot(peft, "peft_config")
        except ConfigError as error:
            issues = (LineIssue(Severity.WARNING, "odd_config", f"{error}; left out"),)
    optimizer = _part(training, "optimizer_kwargs")
    model = _text(training.get("model_id")) or adapter.model_name
    snapshot = msgspec.structs.replace(
        adapter,
        model_name=public_name(model),
        optimizer=OptimizerSnapshot(
            name=_text(training.get("optimizer_type")),
            lr=real_number(optimizer.get("lr")),
            weight_decay=real_number(optimizer.get("weight_decay")),
        ),
        training=TrainingSnapshot(
            seed=_integer(training.get("seed")),
            batch_size=positive(training.get("batch_size")),
            max_steps=positive(training.get("max_steps")),
            dtype=_text(training.get("dtype")),
            extras={key: training[key] for key in _EXTRAS if _is_plain(training.get(key))},
        ),
    )
    return snapshot, issues


def _meta(run: Mapping[str, object]) -> Mapping[str, object]:
    names = ("experiment_name", "created_at", "total_time")
    return {name: run[name] for name in names if _is_plain(run.get(name))}


def _part(values: Mapping[str, object], key: str) -> Mapping[str, object]:
    part = values.get(key)
    return part if isinstance(part, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_WHOLE:
        return None
    return value


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
