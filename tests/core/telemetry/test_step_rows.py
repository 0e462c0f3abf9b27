"""Rows: what a training step's line holds, without a closer look where one is needed."""

import math

import pytest

from gradience.core.telemetry.events import MAX_DEPTH, TELEMETRY_SCHEMA_VERSION, TrainStep
from gradience.core.telemetry.step_rows import OpenStepRow, StepRow, decode_open_row, decode_row
from tests.core.telemetry.sample_events import decoded, line


def test_a_row_of_hot_fields_is_the_event() -> None:
    row = decode_row(line("train_step", loss=2.0, lr=[1e-4, 2e-4]))
    assert (type(row), dict(row.extras)) == (StepRow, {})
    assert row.as_event() == decoded("train_step", loss=2.0, lr=[1e-4, 2e-4])
    assert row.schema == TELEMETRY_SCHEMA_VERSION


@pytest.mark.parametrize("payload", [{"kl": 1.0}, {"loss": "2"}, {"$extras": None}])
def test_what_holds_more_than_the_hot_fields_is_no_plain_row(payload: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown field|at `\$"):
        decode_row(line("train_step", **payload))


def test_another_event_is_no_row() -> None:
    with pytest.raises(ValueError, match="event"):
        decode_row(line("run_end", status="ok"))
    assert decode_open_row(line("run_end", status="ok")) is None


def test_further_keys_are_extras() -> None:
    row = decode_open_row(line("train_step", loss=2.0, kl=0.5, nested={"a": [1]}))
    assert isinstance(row, OpenStepRow)
    assert row.extras == {"kl": 0.5, "nested": {"a": [1]}}
    assert row.as_event() == decoded("train_step", loss=2.0, kl=0.5, nested={"a": [1]})


def test_an_open_row_without_extras_is_the_event_too() -> None:
    row = decode_open_row(line("train_step", loss=2.0))
    assert row is not None
    assert repr(row.as_event()) == repr(decoded("train_step", loss=2.0))


def test_a_nonfinite_table_is_worked_in() -> None:
    table = {"loss": "nan", "kl": "-inf"}
    row = decode_open_row(line("train_step", loss=None, kl=None, note="x", nonfinite=table))
    assert row is not None
    assert (repr(row.loss), row.extras) == ("nan", {"kl": -math.inf, "note": "x"})


@pytest.mark.parametrize(
    "payload",
    [
        {"nonfinite": 1.0},
        {"loss": 1.0, "nonfinite": {"loss": "nan"}},
        {"kl": [None], "nonfinite": {"kl.0": "nan"}},
        {"step": None, "nonfinite": {"step": "nan"}},
        {"$extras": {"a": 1}, "kl": 1.0},
        {"meta": None},
        {"lr": "1e-4", "kl": 1.0},
        {"deep": "[" * MAX_DEPTH},
    ],
)
def test_what_asks_for_a_closer_look_is_none(payload: dict[str, object]) -> None:
    raw = line("train_step", **payload)
    if "deep" in payload:
        raw = raw.replace(b'"[', b"[").replace(b'["', b"[" + b"]" * MAX_DEPTH)
    assert decode_open_row(raw) is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"run_id": "\xff"}', b"[" * 10_000])
def test_what_is_no_record_is_none(raw: bytes) -> None:
    assert decode_open_row(raw) is None
    with pytest.raises((ValueError, RecursionError)):
        decode_row(raw)


def test_a_row_cannot_be_changed() -> None:
    row = decode_row(line("train_step", loss=2.0))
    with pytest.raises(AttributeError):
        row.loss = 3.0  # type: ignore[misc]  # that it is refused is the point
    assert isinstance(row.as_event(), TrainStep)
