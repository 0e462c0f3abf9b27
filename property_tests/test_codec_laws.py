"""Laws of the codec: nothing is lost, every line is strict JSON, no input makes it raise."""

import json
from typing import Never

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.nonfinite import NONFINITE_KEY, restore_nonfinite, split_nonfinite
from gradience.core.telemetry.decode import decode_line
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import (
    HOT_KEYS,
    TELEMETRY_SCHEMA_VERSION,
    KnownEvent,
    TrainStep,
)
from property_tests.events import EVENTS, JSON_OBJECTS, JSON_VALUES

# Equality is that of repr: exact, and NaN equals NaN.

_FRAGMENTS = st.sampled_from(
    [
        b'{"schema":"' + TELEMETRY_SCHEMA_VERSION.encode() + b'",',
        b'"event":',
        b'"train_step"',
        b'"eval"',
        b'"run_start"',
        b'"ts":1e999,',
        b'"step":1' + b"0" * 400 + b",",
        b'"nonfinite":{"loss":"nan"},',
        b"NaN",
        b'"\\ud800"',
        b"[" * 600,
        b"]" * 600,
        b"}",
        b",",
        b":",
    ]
)


def refuse_constant(token: str) -> Never:
    raise ValueError(f"{token} is no strict JSON")


@given(EVENTS)
def test_what_is_written_is_read_back(event: KnownEvent) -> None:
    assert repr(decode_line(encode_event(event)).event) == repr(event)


@given(EVENTS)
def test_reading_what_was_written_reports_nothing_above_info(event: KnownEvent) -> None:
    issues = decode_line(encode_event(event)).issues
    assert {issue.code for issue in issues} <= {"unknown_keys"}


@given(EVENTS)
def test_a_line_is_strict_json_without_a_line_break(event: KnownEvent) -> None:
    line = encode_event(event)
    json.loads(line, parse_constant=refuse_constant)
    assert b"\n" not in line
    assert b"\r" not in line


@given(EVENTS)
def test_encoding_does_not_mutate_the_event(event: KnownEvent) -> None:
    before = repr(event)
    encode_event(event)
    assert repr(event) == before


@given(EVENTS, st.sets(st.sampled_from(["schema", "ts", "event", "step", NONFINITE_KEY])))
def test_extras_with_a_taken_name_are_all_written(event: KnownEvent, taken: set[str]) -> None:
    names = [*taken, *(f"extra_{key}" for key in taken)]
    extras = {name: place for place, name in enumerate(sorted(names))}
    record = json.loads(encode_event(msgspec.structs.replace(event, extras=extras)))
    written = [value for key, value in record.items() if key.startswith("extra_")]
    assert sorted(written) == sorted(extras.values())


@given(st.binary(max_size=200) | st.lists(_FRAGMENTS, max_size=12).map(b"".join))
def test_no_bytes_make_decoding_raise(line: bytes) -> None:
    event, issues = decode_line(line)
    assert event is not None or issues


@given(JSON_OBJECTS, st.sampled_from(["train_step", "eval", "alert", "run_end", "news"]))
def test_any_record_of_the_schema_is_kept_and_can_be_written_again(
    payload: dict[str, object], name: str
) -> None:
    record = {**payload, "schema": TELEMETRY_SCHEMA_VERSION, "event": name}
    event = decode_line(json.dumps(record).encode()).event
    assert event is not None
    again = decode_line(encode_event(event)).event
    assert repr(again) == repr(event)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(HOT_KEYS, JSON_VALUES)), JSON_VALUES)
def test_an_odd_field_of_a_training_step_costs_only_itself(
    hot: dict[str, object], step: object
) -> None:
    record = {"schema": TELEMETRY_SCHEMA_VERSION, "event": "train_step", "ts": 1.0, "run_id": "r"}
    event, issues = decode_line(json.dumps({**record, **hot, "step": step}).encode())
    assert isinstance(event, TrainStep)
    numbers = {key: value for key, value in hot.items() if isinstance(value, float)}
    assert repr({key: getattr(event, key) for key in numbers}) == repr(numbers)
    assert {issue.code for issue in issues} <= {"odd_value", "coerced_value"}
    assert len(event.extras) == sum(issue.code == "odd_value" for issue in issues)


@given(JSON_VALUES)
def test_split_and_restore_are_inverse(value: object) -> None:
    before = repr(value)
    strict, table = split_nonfinite(value)
    assert repr(restore_nonfinite(strict, table)) == before
    assert repr(value) == before


@given(JSON_VALUES)
def test_the_strict_part_has_no_nonfinite_number(value: object) -> None:
    strict, _ = split_nonfinite(value)
    json.dumps(strict, allow_nan=False)
    assert split_nonfinite(strict)[1] == {}
