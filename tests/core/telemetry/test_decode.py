"""Decoding (and encoding): old files, odd files and newer files are read without loss."""

import json
import math

import pytest

from gradience.core.json_text import parse_json
from gradience.core.severity import Severity
from gradience.core.telemetry.decode import decode_block, decode_line
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import (
    Alert,
    Eval,
    RecommendationEvent,
    RunEnd,
    RunStart,
    RunStatus,
    TrainStep,
    UnknownEvent,
    event_name,
)
from tests.core.telemetry.sample_events import decoded, issue_codes, line, train_step


def written(**extras: object) -> dict[str, object]:
    record: dict[str, object] = json.loads(encode_event(train_step(extras=extras)))
    return record


def test_bare_nan_and_infinity_tokens_are_read() -> None:
    raw = line("train_step", loss=math.nan, lr=[math.inf, -math.inf])
    assert b"NaN" in raw
    assert b"-Infinity" in raw
    event = decode_line(raw).event
    assert isinstance(event, TrainStep)
    assert repr((event.loss, event.lr)) == "(nan, (inf, -inf))"


def test_nonfinite_numbers_are_written_as_null_with_a_table() -> None:
    record = json.loads(encode_event(train_step(loss=math.nan, lr=(1.0, -math.inf))))
    assert record["loss"] is None
    assert record["lr"] == [1.0, None]
    assert record["nonfinite"] == {"loss": "nan", "lr.1": "-inf"}


def test_a_finite_step_has_no_table_and_no_missing_fields() -> None:
    assert encode_event(train_step(3, loss=0.5)) == (
        b'{"event":"train_step","schema":"gradience.vnext.telemetry/v1","ts":1.0,"run_id":"r",'
        b'"step":3,"loss":0.5}'
    )


def test_a_number_beyond_the_floats_is_infinite() -> None:
    raw = line("train_step").replace(b'"ts": 1.0', b'"ts": 1.0, "loss": 1e999')
    event = decode_line(raw).event
    assert isinstance(event, TrainStep)
    assert event.loss == math.inf


def test_an_old_alerts_metadata_is_its_context() -> None:
    event = decoded("alert", severity="info", code="a", message="b", metadata={"k": 1})
    assert isinstance(event, Alert)
    assert event.context == {"k": 1}
    assert event.extras == {}


def test_metadata_beside_a_context_stays_an_extra() -> None:
    event = decoded("alert", severity="info", code="a", message="b", metadata=1, context={"k": 2})
    assert isinstance(event, Alert)
    assert event.context == {"k": 2}
    assert event.extras == {"metadata": 1}


def test_an_unknown_event_is_kept_whole_and_reported() -> None:
    raw = line("gradient_histogram", bins=[1, 2])
    event, issues = decode_line(raw)
    assert isinstance(event, UnknownEvent)
    assert event.payload == json.loads(raw)
    assert event_name(event) == "gradient_histogram"
    assert [(i.severity, i.code) for i in issues] == [(Severity.INFO, "unknown_event")]
    assert "'gradient_histogram' is not known to this version" in issues[0].message


def test_an_unknown_event_is_written_back_as_it_was() -> None:
    raw = line("gradient_histogram", bins=[1, math.nan])
    event = decode_line(raw).event
    assert event is not None
    assert json.loads(encode_event(event))["nonfinite"] == {"bins.1": "nan"}
    assert repr(decode_line(encode_event(event)).event) == repr(event)


def test_a_known_event_that_does_not_fit_is_kept_whole_with_a_warning() -> None:
    event, issues = decode_line(line("eval", split="test"))
    assert isinstance(event, UnknownEvent)
    assert event.payload["split"] == "test"
    assert [(i.severity, i.code) for i in issues] == [(Severity.WARNING, "invalid_event")]
    assert "eval: Object missing required field `metrics`" in issues[0].message


def test_extra_keys_are_kept_and_written_back_at_the_top_level() -> None:
    raw = line("train_step", loss=1.0, tokens_per_s=17, odd={"deep": [None]})
    event, issues = decode_line(raw)
    assert isinstance(event, TrainStep)
    assert event.extras == {"tokens_per_s": 17, "odd": {"deep": [None]}}
    assert issues == ()
    assert json.loads(encode_event(event)) == json.loads(raw)


def test_extra_keys_of_a_closed_event_are_reported() -> None:
    event, issues = decode_line(line("run_end", status="ok", wall_s=3.5))
    assert event is not None
    assert "run_end holds keys that this version does not know: wall_s" in issues[0].message
    assert issues[0].severity is Severity.INFO


@pytest.mark.parametrize("key", ["step", "event", "ts", "loss", "nonfinite", "$extras"])
def test_an_extra_with_a_reserved_name_gets_a_prefix(key: str) -> None:
    assert written(**{key: 7})[f"extra_{key}"] == 7


def test_prefixed_and_reserved_extras_do_not_overwrite_each_other() -> None:
    record = written(step=7, extra_step=8)
    assert (record["step"], record["extra_step"], record["extra_extra_step"]) == (1, 8, 7)


def test_the_internal_name_of_extras_is_data_in_a_record() -> None:
    event = decoded("train_step", **{"$extras": {"a": 1}, "b": 2})
    assert isinstance(event, TrainStep)
    assert event.extras == {"$extras": {"a": 1}, "b": 2}


def test_a_nonfinite_key_that_is_no_table_is_data() -> None:
    event = decoded("train_step", nonfinite={"count": 3})
    assert isinstance(event, TrainStep)
    assert event.extras == {"nonfinite": {"count": 3}}


def test_unknown_nested_config_keys_are_folded_into_the_extras_beside_them() -> None:
    event = decoded("run_start", config={"lora": {"r": 8, "use_rslora": True}, "cluster": "a"})
    assert isinstance(event, RunStart)
    assert event.config.lora.r == 8
    assert event.config.lora.extras == {"use_rslora": True}
    assert event.config.extras == {"cluster": "a"}


def test_folded_config_keys_are_reported_by_their_path() -> None:
    found = decode_line(line("run_start", config={"lora": {"use_rslora": True}})).issues
    assert "config.lora.use_rslora" in found[0].message


def test_a_recommendations_unknown_keys_become_evidence() -> None:
    item = {"severity": "info", "action": "set_lr", "message": "m", "scope": None, "seen": 2}
    event = decoded("recommendation", recommendations=[item])
    assert isinstance(event, RecommendationEvent)
    assert event.recommendations[0].evidence == {"seen": 2}
    assert event.recommendations[0].scope == ""


def test_numbers_written_as_strings_are_read_and_reported() -> None:
    event = decoded("train_step", loss="0.5", step="3")
    assert isinstance(event, TrainStep)
    assert (event.loss, event.step) == (0.5, 3)
    assert issue_codes("train_step", loss="0.5") == ["coerced_value"]


def test_a_whole_step_written_as_float_is_a_step() -> None:
    event = decoded("eval", step=10.0, split="a", metrics={})
    assert isinstance(event, Eval)
    assert event.step == 10


def test_a_missing_step_is_none() -> None:
    raw = line("run_end", status="ok").replace(b', "step": 1', b"")
    assert decode_line(raw).issues == ()


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b'{"schema": "gradi', "not_json", "found what does not parse"),
        (b'{"run": "\xff\xfe"}', "not_json", "found what does not parse"),
        (b"[1, 2]", "not_object", "expected a JSON object, found list"),
        (b'{"schema": "v0"}', "other_schema", "found schema 'v0'"),
        (b'{"loss": 1}', "other_schema", "found a record without a schema"),
    ],
)
def test_what_is_no_event_is_reported_in_words(raw: bytes, code: str, words: str) -> None:
    event, issues = decode_line(raw)
    assert event is None
    assert issues[0].code == code
    assert words in issues[0].message


def test_half_a_surrogate_pair_is_read_as_what_can_be_written() -> None:
    event = decoded("train_step", note="\ud83d")
    assert json.loads(encode_event(event))["note"] == "?"


def test_a_time_stamp_beyond_the_floats_is_infinite() -> None:
    event = decoded("news", ts=10**400)
    assert isinstance(event, UnknownEvent)
    assert event.ts == math.inf


@pytest.mark.parametrize("depth", [600, 100_000])
def test_deep_nesting_is_reported(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    raw = line("news", nonfinite={}).replace(b"{}", b'{}, "x": ' + nested)
    event, issues = decode_line(raw)
    assert event is None
    assert "nested too deeply" in issues[0].message


@pytest.mark.parametrize(("brackets", "read"), [(90, True), (900, False)])
def test_what_is_read_can_be_written_and_what_is_too_deep_is_said(
    brackets: int, *, read: bool
) -> None:
    nested = b"[" * brackets + b"]" * brackets
    raw = line("eval", split="a", metrics={}).replace(b"{}", b'{"x": ' + nested + b"}")
    event, issues = decode_line(raw)
    assert [issue.code for issue in issues] == ([] if read else ["too_deep"])
    assert (event is not None and bool(encode_event(event))) is read


def test_parse_json_raises_value_error_for_no_json() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        parse_json(b"nothing")


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("grad_norm", "tensor(0.5)", "str"),
        ("epoch", [1], "list"),
        ("lr", [0.1, "fast"], "list"),
        ("step", 7.5, "float 7.5"),
        ("step", 2**63, "int 9.22337e+18"),
    ],
)
def test_one_odd_field_costs_only_itself(key: str, value: object, found: str) -> None:
    event, issues = decode_line(line("train_step", **{"loss": 2.0, "note": 1, key: value}))
    assert isinstance(event, TrainStep)
    assert event.loss == 2.0
    assert event.extras == {"note": 1, key: value}
    assert event.step == (None if key == "step" else 1)
    ((severity, code, message),) = issues
    assert (severity, code) == (Severity.WARNING, "odd_value")
    assert f"under {key!r}, found {found};" in message


def test_every_odd_field_is_named_and_numbers_in_strings_are_still_read() -> None:
    raw = line("train_step", loss="high", grad_norm={}, epoch="0.5")
    event, issues = decode_line(raw)
    assert isinstance(event, TrainStep)
    assert (event.epoch, event.extras) == (0.5, {"loss": "high", "grad_norm": {}})
    assert [issue.code for issue in issues] == ["odd_value", "odd_value"]


def test_an_evaluation_with_an_odd_step_keeps_its_metrics() -> None:
    event = decoded("eval", step=7.5, split="test", metrics={"loss": 1.0})
    assert isinstance(event, Eval)
    assert (event.step, event.metrics, event.extras) == (None, {"loss": 1.0}, {"step": 7.5})


def test_words_in_upper_case_are_the_same_words() -> None:
    warned = decoded("alert", severity="WARNING", code="a", message="b")
    assert isinstance(warned, Alert)
    assert warned.severity is Severity.WARNING
    ended = decoded("run_end", status="Ok")
    assert isinstance(ended, RunEnd)
    assert ended.status is RunStatus.OK


@pytest.mark.parametrize("digits", [400, 5000])
def test_an_integer_beyond_the_floats_is_infinite(digits: int) -> None:
    number = b"-1" + b"0" * digits
    raw = line("train_step").replace(b'"ts": 1.0', b'"ts": 1.0, "loss": ' + number)
    event, issues = decode_line(raw)
    assert isinstance(event, TrainStep)
    assert (event.loss, issues) == (-math.inf, ())


def test_the_recorders_own_key_is_no_unknown_key() -> None:
    line = '{"schema":"gradience.vnext.telemetry/v1","ts":1.0,"run_id":"r","event":"run_end",'
    decoded = decode_line((line + '"step":3,"status":"ok","dropped_events":2}').encode())
    assert decoded.issues == ()
    assert getattr(decoded.event, "extras", None) == {"dropped_events": 2}


def test_text_that_is_no_utf8_costs_its_line_alone() -> None:
    raw = line("train_step").replace(b'"r"', b'"\xff"')
    event, issues = decode_line(raw)
    assert (event, [issue.code for issue in issues]) == (None, ["not_json"])


def test_a_block_gives_events_with_their_lines() -> None:
    step, held_out = line("train_step", loss=1.0), line("eval", split="test", metrics={})
    noted = line("train_step", kl=0.5)
    found = decode_block(b"\n".join([step, b"", held_out, b"odd", noted, step, b""]), 10)
    assert [event_name(event) for event in found.events] == [
        "train_step",
        "eval",
        "train_step",
        "train_step",
    ]
    assert ([*found.lines], found.n_lines) == ([10, 12, 14, 15], 6)
    assert [(number, issue.code) for number, issue in found.issues] == [(13, "not_json")]


def test_a_record_over_two_lines_and_two_on_one_are_none() -> None:
    whole = line("train_step", loss=1.0)
    found = decode_block(whole.replace(b", ", b",\n", 1) + b"\n" + whole + whole + b"\n", 1)
    assert (found.events, found.n_lines) == ([], 3)
    assert {issue.code for _, issue in found.issues} == {"not_json"}


def test_an_empty_block_holds_nothing() -> None:
    assert decode_block(b"", 1) == ([], range(1, 1), [], 0)
