"""Laws of the privacy policy: no long text survives, the output is plain JSON, once is enough."""

import json
from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.nonfinite import NONFINITE_KEY
from gradience.core.severity import Severity
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.decode import decode_line
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent, Eval, Recommendation
from gradience.core.telemetry.payload import plain_mapping, plain_value
from gradience.core.telemetry.text_policy import TextPolicy
from property_tests.events import JSON_VALUES

TEXTS = st.text(st.characters(), max_size=20) | st.text(st.characters(), min_size=33, max_size=90)
LEAVES = (
    JSON_VALUES
    | TEXTS
    | TEXTS.map(np.str_)
    | st.integers()
    | st.sampled_from([*Severity, b"bytes", object(), np.float32(1.5), np.arange(3), np.ones(1)])
    | st.floats(width=32).map(np.float32)
    | st.frozensets(TEXTS, max_size=2)
)
ANYTHING: st.SearchStrategy[object] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)
POLICIES = st.builds(TextPolicy, max_str_len=st.integers(32, 64))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def events_with(value: object, text: str, policy: TextPolicy) -> list[AnyEvent]:
    """An event of every kind with the value and the text wherever a caller can put them."""
    build = EventBuilder(run_id="run", policy=policy)
    extras = {text: value, "more": text}
    advice = Recommendation(
        severity=Severity.INFO, action=text, message=text, evidence={text: value}
    )
    return [
        build.run_start(1.0, None, {"notes": text, "extras": extras}, extras, extras),
        build.train_step(1.0, 1, loss=value, lr=value, grad_norm=text, epoch=text, extras=extras),
        build.eval(1.0, 1, text, extras, extras),
        build.metrics(1.0, 1, text, extras, extras),
        build.alert(
            1.0, 1, severity=Severity.INFO, code=text, message=text, context=extras, extras=extras
        ),
        build.recommendation(1.0, 1, [advice], extras),
    ]


@given(ANYTHING, TEXTS, POLICIES)
def test_no_long_string_is_ever_written(value: object, text: str, policy: TextPolicy) -> None:
    for event in events_with(value, text, policy):
        written = json.loads(encode_event(event))
        written.pop(NONFINITE_KEY, None)  # its keys are paths: several keys, each short, joined
        assert max(map(len, strings(written))) <= policy.max_str_len


@given(ANYTHING, POLICIES)
def test_the_output_is_plain_json(value: object, policy: TextPolicy) -> None:
    assert is_plain(plain_value(value, policy))


def is_plain(value: object) -> bool:
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


@given(ANYTHING, POLICIES)
def test_once_is_enough(value: object, policy: TextPolicy) -> None:
    once = plain_value(value, policy)
    assert repr(plain_value(once, policy)) == repr(once)


@given(ANYTHING, POLICIES)
def test_the_input_is_not_mutated(value: object, policy: TextPolicy) -> None:
    before = repr(value)
    plain_value(value, policy)
    assert repr(value) == before


@given(st.dictionaries(TEXTS, st.integers(0, 9), max_size=6), POLICIES)
def test_no_item_of_a_mapping_is_lost(values: dict[str, int], policy: TextPolicy) -> None:
    plain = plain_mapping(values, policy)
    assert list(plain.values()) == list(values.values())
    assert all(len(key) <= policy.max_str_len for key in plain)


@given(value=ANYTHING, depth=st.integers(0, 200), cyclic=st.booleans())
def test_whatever_is_written_can_be_read(value: object, depth: int, *, cyclic: bool) -> None:
    nested: dict[str, object] = {"inner": value}
    innermost = nested
    for _ in range(depth):
        nested = {"inner": nested}
    if cyclic:
        innermost["again"] = nested
    event = EventBuilder(run_id="run").eval(1.0, 1, "test", nested, nested)
    read, issues = decode_line(encode_event(event))
    assert isinstance(read, Eval)
    assert {issue.code for issue in issues} <= {"unknown_keys"}


@given(JSON_VALUES)
def test_plain_json_with_text_allowed_stays_as_it_is(value: object) -> None:
    assert repr(plain_value(value, TextPolicy(allow_text=True))) == repr(value)
