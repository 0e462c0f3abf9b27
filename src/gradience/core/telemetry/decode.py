"""One line of JSON, one event: the reading direction of telemetry v1.

Decoding is a pure function of the line; what does not fit is reported beside what was kept. A
line that fits the structs exactly takes the fast path; any other (extra keys, bare ``NaN`` tokens,
a ``nonfinite`` table, old field names) is read key by key.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from gradience.core.json_text import parse_json
from gradience.core.nonfinite import NONFINITE_KEY, is_nonfinite_table, restore_nonfinite
from gradience.core.numbers import nesting_depth, real_number
from gradience.core.severity import Severity
from gradience.core.telemetry.events import (
    DROPPED_EVENTS,
    EVENT_TYPES,
    EXTRAS_WIRE_KEY,
    FREE_EVENTS,
    HOT_KEYS,
    MAX_DEPTH,
    TELEMETRY_SCHEMA_VERSION,
    AnyEvent,
    KnownEvent,
    Step,
    TrainStep,
    UnknownEvent,
)
from gradience.core.telemetry.older_records import modernise
from gradience.core.telemetry.step_rows import OpenStepRow, StepRow, decode_open_row, decode_row

_DECODER = msgspec.json.Decoder(KnownEvent)

_Number = float | None
_Rates = float | tuple[float, ...] | None


class LineIssue(NamedTuple):
    """Something about one line that a person should know."""

    severity: Severity
    code: str
    message: str


class Decoded(NamedTuple):
    """What a line held: an event (or nothing usable), and what was odd about it."""

    event: AnyEvent | None
    issues: tuple[LineIssue, ...] = ()


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
    except (ValueError, RecursionError):  # no JSON of that shape, or no UTF-8
        event = None
    if event is not None and event.schema == TELEMETRY_SCHEMA_VERSION and _is_shallow(event, line):
        return Decoded(event)
    try:
        return _decode_slowly(line)
    except RecursionError:
        return _too_deep()


class Block(NamedTuple):
    """What many lines held."""

    rows: list[StepRow | AnyEvent]
    """In the order of their lines, for :func:`gradience.core.signals.batch.build_batch`."""
    lines: Sequence[int]
    """The number of each row's line."""
    issues: list[tuple[int, LineIssue]]
    """What was odd, each with the number of its line."""
    n_lines: int
    """Lines in the block, blank ones included: the next one begins at ``first_line + n_lines``."""

    @property
    def events(self) -> list[AnyEvent]:
        """The rows as events: what :func:`decode_line` makes of the lines."""
        return [row.as_event() if isinstance(row, StepRow) else row for row in self.rows]


class _Lines(NamedTuple):
    """A block as it grows."""

    rows: list[StepRow | AnyEvent]
    lines: list[int]
    issues: list[tuple[int, LineIssue]]


def decode_block(block: bytes, first_line: int) -> Block:
    """Reads many whole lines of telemetry at once, with the result of reading them one by one.

    Args:
        block: Lines, each with its newline; the last one may lack it. May be empty.
        first_line: Number of the first line.

    Returns:
        The events and issues that :func:`decode_line` finds in the lines; blank lines (white
        space only) hold neither and are counted. Never raises on any input.
    """
    *whole, last = block.split(b"\n")
    lines = [line + b"\n" for line in whole]
    return decode_lines([*lines, last] if last else lines, first_line)


def decode_lines(lines: Sequence[bytes], first_line: int) -> Block:
    """The same of lines that are apart already, each with its newline.

    Args:
        lines: The lines.
        first_line: Number of the first one.
    """
    leading = _leading_rows(lines)
    place = len(leading)
    numbers = range(first_line, first_line + place)
    if place == len(lines):
        return Block([*leading], numbers, [], place)
    found = _Lines([*leading], [*numbers], [])
    while place < len(lines):
        place += _read_singly(lines[place:], first_line + place, found)
        leading = _leading_rows(lines[place:])
        found.rows.extend(leading)
        found.lines.extend(range(first_line + place, first_line + place + len(leading)))
        place += len(leading)
    return Block(found.rows, found.lines, found.issues, len(lines))


def _leading_rows(lines: Sequence[bytes]) -> list[StepRow]:
    """The training steps up to the first line that holds more than the hot fields, or no step."""
    rows: list[StepRow] = []
    with contextlib.suppress(ValueError, RecursionError):
        rows.extend(map(decode_row, lines))  # what came before the line that raises stays
    return rows


def _read_singly(lines: Sequence[bytes], first_line: int, found: _Lines) -> int:
    """Reads the first line, and the next one as long as what is read is a step with extras.

    Returns:
        How many lines it read.
    """
    for number, line in enumerate(lines, first_line):
        row: StepRow | AnyEvent | None = decode_open_row(line)
        if row is None and line.strip():
            row, issues = decode_line(line)
            found.issues.extend((number, issue) for issue in issues)
        if row is not None:
            found.rows.append(row)
            found.lines.append(number)
        if not (isinstance(row, OpenStepRow) and row.extras):
            return number + 1 - first_line
    return len(lines)


def _is_shallow(event: KnownEvent, line: bytes) -> bool:
    """Whether the event's payload may be walked; a training step's always may."""
    if isinstance(event, TrainStep):
        return True
    return line.count(b"[") + line.count(b"{") <= MAX_DEPTH


def _too_deep() -> Decoded:
    problem = f"expected at most {MAX_DEPTH} levels, found a record nested too deeply; not read"
    return _nothing("too_deep", problem)


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
    record, renamed = modernise(restored)
    known = {*struct.__struct_encode_fields__, "event"} - {EXTRAS_WIRE_KEY}
    extras = {key: item for key, item in record.items() if key not in known}
    shaped: dict[str, object] = {key: record[key] for key in record if key in known}
    shaped[EXTRAS_WIRE_KEY] = extras
    unknown = () if name in FREE_EVENTS else extras.keys() - {DROPPED_EVENTS}
    moved = (*unknown, *renamed)
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
