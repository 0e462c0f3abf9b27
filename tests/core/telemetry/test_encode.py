"""One event, one line: the short ways of writing a training step say what the long one says."""

import json
import math

import pytest

from gradience.core.telemetry.decode import decode_line
from gradience.core.telemetry.encode import encode_event, free_key
from gradience.core.telemetry.events import UnknownEvent
from tests.core.telemetry.sample_events import alert, train_step

ENVELOPE = {"schema": "gradience.vnext.telemetry/v1", "ts": 1.0, "run_id": "r", "step": 1}


def test_a_step_without_extras_holds_what_is_known() -> None:
    written = json.loads(encode_event(train_step(loss=0.5)))
    assert written == {**ENVELOPE, "event": "train_step", "loss": 0.5}


def test_a_step_with_extras_holds_them_at_the_top() -> None:
    event = train_step(loss=0.5, lr=(0.1, 0.2), grad_norm=2.0, extras={"entropy": 1.5, "on": None})
    assert json.loads(encode_event(event)) == {
        **ENVELOPE, "event": "train_step", "loss": 0.5, "lr": [0.1, 0.2], "grad_norm": 2.0,
        "entropy": 1.5, "on": None,
    }  # fmt: skip
    assert decode_line(encode_event(event)).event == event


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_non_finite_numbers_are_null_and_named(number: float) -> None:
    event = train_step(loss=number, lr=(0.1, number), extras={"a": {"b": [number]}})
    written = json.loads(encode_event(event))
    assert (written["loss"], written["lr"], written["a"]) == (None, [0.1, None], {"b": [None]})
    assert written["nonfinite"] == dict.fromkeys(("loss", "lr.1", "a.b.0"), str(number))


def test_infinities_that_cancel_are_both_named() -> None:
    written = json.loads(encode_event(train_step(loss=math.inf, grad_norm=-math.inf)))
    assert written["nonfinite"] == {"loss": "inf", "grad_norm": "-inf"}


def test_the_word_null_and_a_missing_step_are_no_numbers() -> None:
    written = json.loads(encode_event(train_step(None, extras={"note": "null", "x": None})))
    assert (written["step"], written["note"], written["x"]) == (None, "null", None)
    assert "nonfinite" not in written


def test_extras_give_way_to_the_record() -> None:
    extras = {"step": 7, "loss": "high", "nonfinite": 1, "extra_step": 8}
    written = json.loads(encode_event(train_step(extras=extras)))
    assert (written["step"], written["extra_extra_step"], written["extra_step"]) == (1, 7, 8)
    assert (written["extra_loss"], written["extra_nonfinite"]) == ("high", 1)
    assert free_key("a", {"a"}, {"extra_a": 1}) == "extra_extra_a"


def test_other_events_are_written_whole() -> None:
    assert json.loads(encode_event(alert("code")))["message"] == "about code"
    odd = UnknownEvent(event="news", schema="s", payload={"a": math.inf})
    assert json.loads(encode_event(odd)) == {"a": None, "nonfinite": {"a": "inf"}}
