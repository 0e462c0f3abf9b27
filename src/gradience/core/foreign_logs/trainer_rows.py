"""Rows that the Hugging Face Trainer logged, as events.

A row is a training step, one or several evaluations, the closing summary, or several of these at
once. Each key is told by its name: ``eval_<metric>`` and ``eval_<set>_<metric>`` are evaluations,
and so is ``<prefix>_…`` where the row holds that prefix's speed; ``train_…`` beside
``train_runtime`` is the summary, or an evaluation of the training set where it holds a metric that
no summary has; the rest is the training step.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

from gradience.core.foreign_logs.row_values import MAX_WHOLE
from gradience.core.nonfinite import NONFINITE_KEY
from gradience.core.numbers import real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.decode import LineIssue
from gradience.core.telemetry.encode import ENVELOPE_KEYS, free_key
from gradience.core.telemetry.events import EXTRAS_WIRE_KEY, HOT_KEYS, KnownEvent
from gradience.core.telemetry.trainer_logs import (
    EVAL_PREFIX,
    LOSS_SUFFIX,
    RUNTIME_SUFFIX,
    SUMMARY_KEYS,
    TRAIN_PREFIX,
    evaluates_training_set,
)

TRAIN_SUMMARY = "train_summary"
"""Kind of the ``metrics`` event that the Trainer's closing summary becomes."""

_SPEED_SUFFIXES = ("_samples_per_second", "_steps_per_second", LOSS_SUFFIX)
"""Stand beside ``<prefix>_runtime`` in the metrics of an evaluation."""

_HELD_OUT = ("test", "predict", "val", "valid", "validation")
"""Prefixes that name an evaluation where one of :data:`_HELD_OUT_METRICS` has them."""

_HELD_OUT_METRICS = (LOSS_SUFFIX, RUNTIME_SUFFIX, "_accuracy")

_RATES = ("learning_rate", "lr")

_STEP_KEYS = frozenset({"loss", "grad_norm", *_RATES})
"""Any of these makes what is left of a row a training step."""

_RESERVED = frozenset({*ENVELOPE_KEYS, *HOT_KEYS, NONFINITE_KEY, EXTRAS_WIRE_KEY})


class RowEvents(NamedTuple):
    """What a row says, and what is odd about it."""

    events: tuple[KnownEvent, ...]
    issues: tuple[LineIssue, ...] = ()


class _Step(NamedTuple):
    """The row's step, and the value under ``step`` where it is none."""

    number: int | None
    odd: Mapping[str, object]


def read_trainer_row(row: Mapping[str, object], builder: EventBuilder, ts: float) -> RowEvents:
    """Reads one row of a ``log_history``.

    Args:
        row: The row, its numbers as numbers. Never mutated.
        builder: Makes the run's events.
        ts: Seconds, for the events' time stamps.

    Returns:
        The training step first, then the evaluations, then the summary. A row with nothing but a
        step and an epoch is a training step; an empty one gives no event and an issue.
    """
    if not row:
        return RowEvents((), (_issue("empty_row", "expected logged values, found an empty row"),))
    step = _step(row.get("step"))
    values: Mapping[str, object] = {key: item for key, item in row.items() if key != "step"}
    evals, rest = _evaluations(values)
    summary, rest = _summary(rest)
    events: list[KnownEvent] = []
    issues: tuple[LineIssue, ...] = ()
    if step.odd:
        issues = (_odd("step", "an integer", step.odd["step"]),)
    shared = {key: rest[key] for key in ("epoch",) if key in rest}
    if not (evals or summary) or not rest.keys().isdisjoint(_STEP_KEYS):
        training = _train_step(rest, step, builder, ts)
        events, issues = [*training.events], issues + training.issues
        rest = shared
    else:
        rest = {**rest, **step.odd}
    for split, metrics in evals:
        events.append(builder.eval(ts, step.number, split, _merged(rest, metrics), {}))
        rest = shared
    if summary:
        values = _merged(rest, summary)
        events.append(builder.metrics(ts, step.number, TRAIN_SUMMARY, values, {}))
    return RowEvents(tuple(events), issues)


class _Evaluation(NamedTuple):
    split: str
    metrics: Mapping[str, object]


def _evaluations(
    values: Mapping[str, object],
) -> tuple[tuple[_Evaluation, ...], Mapping[str, object]]:
    """The evaluations of a row, each without its prefix, and what is none."""
    prefixes = _prefixes(tuple(values))
    if not prefixes:
        return (), values
    found: dict[str, dict[str, object]] = {prefix: {} for prefix in prefixes}
    rest: dict[str, object] = {}
    for key, value in values.items():
        home = _home(key, prefixes)
        if home is None:
            rest[key] = value
            continue
        metrics = found.setdefault(home, {})
        bare = key[len(home) + 1 :] if _has_prefix(key, home) else ""
        metrics[bare if bare and bare not in metrics else key] = value
    evaluations = (_Evaluation(_split(prefix), metrics) for prefix, metrics in found.items())
    return tuple(evaluations), rest


def _home(key: str, prefixes: tuple[str, ...]) -> str | None:
    """The prefix whose evaluation a key belongs to, the longest that it has; None for none."""
    own = [prefix for prefix in prefixes if _has_prefix(key, prefix)]
    if own:
        return max(own, key=len)
    if not _has_prefix(key, EVAL_PREFIX):
        return None
    return prefixes[0] if len(prefixes) == 1 else EVAL_PREFIX


@functools.lru_cache(maxsize=256)
def _prefixes(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The prefixes of the evaluations in a row, in the order of its keys."""
    summaries = () if evaluates_training_set(keys) else (TRAIN_PREFIX,)
    timed = [
        prefix
        for key in keys
        if (prefix := key.removesuffix(RUNTIME_SUFFIX)) not in (key, *summaries)
        and (_is_held_out(prefix) or any(prefix + end in keys for end in _SPEED_SUFFIXES))
    ]
    named = [word for word in _HELD_OUT if any(word + end in keys for end in _HELD_OUT_METRICS)]
    prefixes = list(dict.fromkeys([*timed, *named]))
    loose = [
        key
        for key in keys
        if _has_prefix(key, EVAL_PREFIX) and not any(_has_prefix(key, p) for p in prefixes)
    ]
    if not loose or any(prefix.startswith(EVAL_PREFIX) for prefix in timed):
        return tuple(prefixes)
    losses = [key.removesuffix(LOSS_SUFFIX) for key in loose if key.endswith(LOSS_SUFFIX)]
    whole = EVAL_PREFIX in losses or f"{EVAL_PREFIX}/loss" in loose or not losses
    return (*prefixes, *([EVAL_PREFIX] if whole else dict.fromkeys(losses)))


def _is_held_out(prefix: str) -> bool:
    return prefix in _HELD_OUT or prefix == EVAL_PREFIX or prefix.startswith(f"{EVAL_PREFIX}_")


def _has_prefix(key: str, prefix: str) -> bool:
    return key.startswith((f"{prefix}_", f"{prefix}/"))


def _split(prefix: str) -> str:
    return prefix.removeprefix(f"{EVAL_PREFIX}_") or prefix


def _summary(values: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The closing summary of a row, empty where there is none, and what is no part of it."""
    if TRAIN_PREFIX + RUNTIME_SUFFIX not in values:
        return {}, values
    start = f"{TRAIN_PREFIX}_"
    summary = {k: v for k, v in values.items() if k.startswith(start) or k in SUMMARY_KEYS}
    return summary, {key: value for key, value in values.items() if key not in summary}


def _train_step(
    values: Mapping[str, object], step: _Step, builder: EventBuilder, ts: float
) -> RowEvents:
    rate = next((name for name in _RATES if values.get(name) is not None), _RATES[0])
    names = {"loss": "loss", "lr": rate, "grad_norm": "grad_norm", "epoch": "epoch"}
    hot = {field: values.get(name) for field, name in names.items()}
    odd = {
        field: value
        for field, value in hot.items()
        if type(value) is not float and not _fits(field, value)
    }
    taken = {*names.values(), *(name for name in _RATES if values.get(name) is None)}
    extras = {**{k: v for k, v in values.items() if k not in taken}, **odd, **step.odd}
    event = builder.train_step(
        ts,
        step.number,
        loss=None if "loss" in odd else hot["loss"],
        lr=None if "lr" in odd else hot["lr"],
        grad_norm=None if "grad_norm" in odd else hot["grad_norm"],
        epoch=None if "epoch" in odd else hot["epoch"],
        extras=_free(extras),
    )
    issues = tuple(_odd(names[field], "a number", value) for field, value in odd.items())
    return RowEvents((event,), issues)


def _fits(field: str, value: object) -> bool:
    if value is None or real_number(value) is not None:
        return True
    return field == "lr" and isinstance(value, list) and all(map(_is_number, value))


def _is_number(value: object) -> bool:
    return real_number(value) is not None


def _free(extras: Mapping[str, object]) -> Mapping[str, object]:
    """The extras under names that a record does not need for itself."""
    if _RESERVED.isdisjoint(extras):
        return extras
    return {free_key(key, _RESERVED, extras): value for key, value in extras.items()}


def _merged(rest: Mapping[str, object], metrics: Mapping[str, object]) -> Mapping[str, object]:
    """The metrics, and beside them what else the row says under names that they do not have."""
    return {**{key: value for key, value in rest.items() if key not in metrics}, **metrics}


def _step(value: object) -> _Step:
    if value is None:
        return _Step(None, {})
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return _Step(None, {"step": value})
    return _Step(value, {}) if abs(value) <= MAX_WHOLE else _Step(None, {"step": value})


def _odd(name: str, expected: str, value: object) -> LineIssue:
    found = f"expected {expected} under {name!r}, found {type(value).__name__}"
    return _issue("odd_value", f"{found}; kept under extras")


def _issue(code: str, message: str) -> LineIssue:
    return LineIssue(Severity.WARNING, code, message)
