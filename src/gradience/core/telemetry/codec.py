"""One event, one line of strict JSON: the two directions of telemetry v1.

Decoding is a pure function of the line; what does not fit is reported beside what was kept, and
nothing is dropped. A line that fits the structs exactly takes the fast path; any other (extra
keys, bare ``NaN`` tokens, a ``nonfinite`` table, old field names) is read key by key.
"""

import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from gradience.core.config.snapshot import fold_unknown_keys
from gradience.core.nonfinite import (
    NONFINITE_KEY,
    is_nonfinite_table,
    restore_nonfinite,
    split_nonfinite,
)
from gradience.core.numbers import nesting_depth, real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.events import (
    EVENT_TYPES,
    EXTRAS_WIRE_KEY,
    MAX_DEPTH,
    TELEMETRY_SCHEMA_VERSION,
    AnyEvent,
    KnownEvent,
    Recommendation,
    Step,
    TrainStep,
    UnknownEvent,
)

ENVELOPE_KEYS = ("schema", "ts", "run_id", "event", "step")
"""The keys of every record."""

COLLISION_PREFIX = "extra_"
"""Put before an extra whose name the record needs for itself (``step``, ``event`` …)."""

NULLABLE_OPTIONALS = ("meta", "context")
"""Optional mappings that other writers may give as null."""

HOT_KEYS = ("loss", "lr", "grad_norm", "epoch")
"""The numbers of a training step that have fields of their own."""

FOLDED_KEYS = {"alert": "severity", "run_end": "status"}
"""Event → the key whose value is one of a few words, in upper or lower case."""

FREE_EVENTS = frozenset({"train_step"})
"""Events whose payload is open by contract: extra keys there are data, not news."""


class LineIssue(NamedTuple):
    """Something about one line that a person should know."""

    severity: Severity
    code: str
    message: str


class Decoded(NamedTuple):
    """What a line held: an event (or nothing usable), and what was odd about it."""

    event: AnyEvent | None
    issues: tuple[LineIssue, ...] = ()


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(KnownEvent)


def encode_event(event: AnyEvent) -> bytes:
    """Writes an event as one line of strict JSON, without the newline.

    Non-finite numbers become ``null`` and are named in the record's ``nonfinite`` table. Extras
    stand at the top level; one whose name the record needs itself gets the prefix ``extra_``.

    Args:
        event: An event whose payload is plain JSON data (see
            :func:`gradience.core.telemetry.payload.plain_value`).

    Returns:
        UTF-8 bytes without line breaks.
    """
    if isinstance(event, TrainStep) and not event.extras and _is_finite(event):
        return _ENCODER.encode(event)
    record = dict(event.payload) if isinstance(event, UnknownEvent) else _flat_record(event)
    strict, table = split_nonfinite(record)
    if table and isinstance(strict, dict):
        strict[NONFINITE_KEY] = table
    return _ENCODER.encode(strict)


def decode_line(line: bytes) -> Decoded:
    """Reads one line of telemetry.

    Args:
        line: One record, with or without its newline.

    Returns:
        The event and the issues. Unknown events, and known ones whose payload does not fit, come
        back as :class:`UnknownEvent` with the whole record; a line that is no JSON object, or
        whose ``schema`` is another, yields no event. Never raises on any input.
    """
    try:
        event = _DECODER.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        event = None
    if event is not None and event.schema == TELEMETRY_SCHEMA_VERSION and _is_shallow(event, line):
        return Decoded(event)
    try:
        return _decode_slowly(line)
    except RecursionError:
        return _too_deep()


def _is_shallow(event: KnownEvent, line: bytes) -> bool:
    """Whether the event's payload may be walked; a training step's always may."""
    if isinstance(event, TrainStep):
        return True
    return line.count(b"[") + line.count(b"{") <= MAX_DEPTH


def _too_deep() -> Decoded:
    problem = f"expected at most {MAX_DEPTH} levels, found a record nested too deeply; not read"
    return _nothing("too_deep", problem)


def parse_json(text: bytes) -> object:
    """Parses JSON, Python's bare ``NaN`` and ``Infinity`` tokens included.

    Raises:
        ValueError: ``text`` is not JSON or not UTF-8, or is nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        return _encodable(json.loads(text, parse_int=_integer))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _integer(digits: str) -> int | float:
    """The integer; infinite where it has more digits than Python converts."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _encodable(value: object) -> object:
    """The value with ``?`` for half a surrogate pair, which JSON can escape and UTF-8 not hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value


def _is_finite(event: TrainStep) -> bool:
    rates = event.lr if isinstance(event.lr, tuple) else (event.lr,)
    numbers = (event.ts, event.loss, event.grad_norm, event.epoch, *rates)
    return all(number is None or math.isfinite(number) for number in numbers)


def _flat_record(event: KnownEvent) -> dict[str, object]:
    built: dict[str, object] = msgspec.to_builtins(event)
    built.pop(EXTRAS_WIRE_KEY, None)
    record = {key: built.pop(key) for key in ENVELOPE_KEYS}
    record.update(built)
    reserved = {*event.__struct_encode_fields__, *ENVELOPE_KEYS, NONFINITE_KEY}
    for key, value in event.extras.items():
        record[_free_key(key, reserved, event.extras)] = value
    return record


def _free_key(key: str, reserved: AbstractSet[str], extras: Mapping[str, object]) -> str:
    """``key``, with as many prefixes as it takes to collide neither with the record nor extras."""
    free = key
    while free in reserved or (free != key and free in extras):
        free = COLLISION_PREFIX + free
    return free


def _decode_slowly(line: bytes) -> Decoded:
    try:
        value = parse_json(line)
    except ValueError as error:
        return _nothing("not_json", f"expected one JSON object, found what does not parse: {error}")
    if not isinstance(value, dict):
        return _nothing("not_object", f"expected a JSON object, found {type(value).__name__}")
    if nesting_depth(value, MAX_DEPTH) > MAX_DEPTH:
        return _too_deep()
    schema = value.get("schema")
    if schema != TELEMETRY_SCHEMA_VERSION:
        found = f"schema {schema!r}" if "schema" in value else "a record without a schema"
        return _nothing(
            "other_schema", f"expected schema {TELEMETRY_SCHEMA_VERSION!r}, found {found}"
        )
    return _decode_record(value)


def _nothing(code: str, message: str) -> Decoded:
    return Decoded(None, (LineIssue(Severity.WARNING, code, message),))


def _decode_record(raw: dict[str, object]) -> Decoded:
    restored = _with_numbers_restored(raw)
    name = restored.get("event")
    if not isinstance(name, str):
        return _kept_whole(restored, "invalid_event", "expected a string under 'event', found none")
    struct = EVENT_TYPES.get(name)
    if struct is None:
        problem = f"event {name!r} is not known to this version"
        return _kept_whole(restored, "unknown_event", problem)
    record, renamed = _modernise(restored)
    known = {*struct.__struct_encode_fields__, "event"} - {EXTRAS_WIRE_KEY}
    extras = {key: item for key, item in record.items() if key not in known}
    shaped: dict[str, object] = {key: record[key] for key in record if key in known}
    shaped[EXTRAS_WIRE_KEY] = extras
    moved = renamed if name in FREE_EVENTS else (*extras, *renamed)
    try:
        event = msgspec.convert(shaped, struct)
    except msgspec.ValidationError as error:
        return _convert_leniently(restored, shaped, struct, str(error), moved)
    return Decoded(event, _unknown_keys(name, moved))


def _convert_leniently(
    raw: dict[str, object],
    shaped: dict[str, object],
    struct: type[KnownEvent],
    problem: str,
    moved: tuple[str, ...],
) -> Decoded:
    """Reads numbers written as strings, and moves fields that are none to the extras."""
    name = str(raw["event"])
    fitting, odd = _without_odd_fields(shaped, struct)
    try:
        event = msgspec.convert(fitting, struct, strict=False)
    except msgspec.ValidationError:
        return _kept_whole(raw, "invalid_event", f"{name}: {problem}")
    coerced = LineIssue(Severity.INFO, "coerced_value", f"{name}: {problem}; read as a number")
    issues = tuple(_odd_value(name, key, value) for key, value in odd.items()) or (coerced,)
    return Decoded(event, (*issues, *_unknown_keys(name, moved)))


def _without_odd_fields(
    shaped: dict[str, object], struct: type[KnownEvent]
) -> tuple[dict[str, object], dict[str, object]]:
    """The record with its misfitting step and hot numbers under the extras, and those alone."""
    kinds: dict[str, object] = {"step": Step | None}
    if struct is TrainStep:
        kinds |= {key: _Rates if key == "lr" else _Number for key in HOT_KEYS}
    odd = {
        key: shaped[key]
        for key, kind in kinds.items()
        if key in shaped and not _fits(shaped[key], kind)
    }
    extras = shaped[EXTRAS_WIRE_KEY]
    fitting = {"step": None, **{key: item for key, item in shaped.items() if key not in odd}}
    fitting[EXTRAS_WIRE_KEY] = {**(extras if isinstance(extras, Mapping) else {}), **odd}
    return fitting, odd


_Number = float | None
_Rates = float | tuple[float, ...] | None


def _fits(value: object, kind: object) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _odd_value(name: str, key: str, value: object) -> LineIssue:
    expected = "an integer" if key == "step" else "a number"
    number = real_number(value)
    found = type(value).__name__ + ("" if number is None else f" {number:g}")
    problem = f"{name}: expected {expected} under {key!r}, found {found}"
    return LineIssue(Severity.WARNING, "odd_value", f"{problem}; kept under extras")


def _with_numbers_restored(raw: dict[str, object]) -> dict[str, object]:
    """The record with its ``nonfinite`` table worked in; a key of that name that is none stays."""
    table = raw.get(NONFINITE_KEY)
    if not is_nonfinite_table(table):
        return dict(raw)
    rest = {key: item for key, item in raw.items() if key != NONFINITE_KEY}
    restored = restore_nonfinite(rest, table)
    return restored if isinstance(restored, dict) else rest


def _modernise(record: dict[str, object]) -> tuple[dict[str, object], tuple[str, ...]]:
    """Old spellings and keys of newer versions, in the shape of the structs."""
    shaped = dict(record)
    moved: tuple[str, ...] = ()
    step = shaped.setdefault("step", None)
    if isinstance(step, float) and step.is_integer():
        shaped["step"] = int(step)
    floats = ("ts", *HOT_KEYS) if shaped["event"] in FREE_EVENTS else ("ts",)
    shaped.update({key: _within_floats(shaped[key]) for key in floats if key in shaped})
    word = FOLDED_KEYS.get(str(shaped["event"]), "")
    if word in shaped:
        shaped[word] = _lower(shaped[word])
    for key in NULLABLE_OPTIONALS:
        if shaped.get(key, key) is None:
            del shaped[key]
    config = shaped.get("config")
    if shaped["event"] == "run_start" and isinstance(config, Mapping):
        shaped["config"], inner = fold_unknown_keys(config)
        moved += tuple(f"config.{key}" for key in inner)
    if shaped["event"] == "alert" and "metadata" in shaped and "context" not in shaped:
        shaped["context"] = shaped.pop("metadata")
    items = shaped.get("recommendations")
    if shaped["event"] == "recommendation" and isinstance(items, list):
        shaped["recommendations"] = [_fold_recommendation(item) for item in items]
    return shaped, moved


def _within_floats(value: object) -> object:
    """The value with integers beyond the range of floats as infinities."""
    if isinstance(value, list):
        return [_within_floats(item) for item in value]
    number = real_number(value) if isinstance(value, int) else None
    return value if number is None or math.isfinite(number) else number


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _fold_recommendation(item: object) -> object:
    if not isinstance(item, Mapping):
        return item
    known = set(Recommendation.__struct_fields__)
    unknown = {key: value for key, value in item.items() if key not in known}
    kept = {key: value for key, value in item.items() if key in known and value is not None}
    kept["severity"] = _lower(kept.get("severity"))
    evidence = kept.get("evidence")
    if unknown:
        kept["evidence"] = {**unknown, **(evidence if isinstance(evidence, Mapping) else {})}
    return kept


def _unknown_keys(name: str, keys: tuple[str, ...]) -> tuple[LineIssue, ...]:
    if not keys:
        return ()
    listed = ", ".join(sorted(keys))
    message = f"{name} holds keys that this version does not know: {listed} (kept under extras)"
    return (LineIssue(Severity.INFO, "unknown_keys", message),)


def _kept_whole(record: dict[str, object], code: str, problem: str) -> Decoded:
    ts, run_id, step = record.get("ts"), record.get("run_id"), record.get("step")
    event = UnknownEvent(
        event=str(record.get("event")),
        schema=str(record["schema"]),
        ts=real_number(ts),
        run_id=run_id if isinstance(run_id, str) else None,
        step=step if isinstance(step, int) and not isinstance(step, bool) else None,
        payload=record,
    )
    severity = Severity.INFO if code == "unknown_event" else Severity.WARNING
    return Decoded(event, (LineIssue(severity, code, f"{problem}; the record is kept as it is"),))
