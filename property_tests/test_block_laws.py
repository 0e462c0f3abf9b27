"""Laws of reading many lines at once: it is reading them one by one, however they are cut."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.errors import TelemetryError
from gradience.core.signals.batch import build_batch, concatenate
from gradience.core.telemetry.decode import Block, LineIssue, decode_block, decode_line
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import HOT_KEYS, TELEMETRY_SCHEMA_VERSION, AnyEvent
from gradience.core.telemetry.older_records import NULLABLE_OPTIONALS
from gradience.shell.telemetry import reader as reader_module
from gradience.shell.telemetry.reader import TelemetryReader
from property_tests.events import EVENTS, JSON_VALUES

# Equality is that of repr: exact, and NaN equals NaN.

_NUMBERS = st.one_of(
    st.floats(),
    st.none(),
    st.lists(st.floats() | st.none(), max_size=2),
    st.sampled_from([0, -1, 3.0, 10**30, 10**400, "1.5", True]),
)
_FURTHER_KEYS = st.sampled_from(
    ["kl", "a.b", "extra_loss", "dropped_events", "$extras", "\u00e9", *NULLABLE_OPTIONALS]
)
_TABLES = st.dictionaries(
    st.sampled_from([*HOT_KEYS, "lr.0", "kl", "a\\.b", "a.b", "step", "ts", "gone"]),
    st.sampled_from(["nan", "inf", "-inf", "none", 1]),
    max_size=2,
)
_RECORDS = st.fixed_dictionaries(
    {
        "schema": st.sampled_from([TELEMETRY_SCHEMA_VERSION] * 9 + ["other/v2"]),
        "ts": st.just(1.5) | _NUMBERS,
        "run_id": st.sampled_from(["r", "r", "s", 1]),
        "event": st.sampled_from(["train_step"] * 7 + ["run_end", "news"]),
        "step": st.integers(-1, 9) | _NUMBERS,
    },
    optional={
        **dict.fromkeys(HOT_KEYS, st.floats(allow_nan=False) | _NUMBERS),
        "nonfinite": _TABLES | JSON_VALUES,
    },
)
_STEPS = st.builds(
    lambda record, further: json.dumps({**record, **further}).encode(),
    _RECORDS,
    st.dictionaries(_FURTHER_KEYS, JSON_VALUES, max_size=2) | st.just({}),
)
_ODD = st.sampled_from(
    [
        b"",
        b"  ",
        b"\r",
        b"{}{}",
        b"[]",
        b'{"a":',
        b"\xff",
        encode_event(
            decode_line(
                b'{"schema":"' + TELEMETRY_SCHEMA_VERSION.encode() + b'","ts":1.0,"run_id":"r",'
                b'"event":"train_step","step":1,"deep":' + b"[" * 90 + b"]" * 90 + b"}"
            ).event  # type: ignore[arg-type]  # a step: the record is whole
        ),
        b'{"schema":"' + TELEMETRY_SCHEMA_VERSION.encode() + b'","ts":1.0,"run_id":"\xff",'
        b'"event":"train_step","step":1}',
        b'{"schema":"' + TELEMETRY_SCHEMA_VERSION.encode() + b'","ts":1.0,"run_id":"r",'
        b'"event":"train_step","step":1,"deep":' + b"[" * 120 + b"]" * 120 + b"}",
    ]
)
_WHOLE = EVENTS.map(encode_event) | _STEPS
_TORN = st.builds(lambda line, at: line[: at % (len(line) + 1)], _WHOLE, st.integers(0, 10**6))
LINES = st.lists(_WHOLE | _WHOLE | _ODD | _TORN, max_size=8)
CONTENTS = st.builds(
    lambda lines, end: b"\n".join(lines) + end, LINES, st.sampled_from([b"", b"\n"])
)


def one_by_one(content: bytes, first_line: int) -> Block:
    events: list[AnyEvent] = []
    numbers: list[int] = []
    issues: list[tuple[int, LineIssue]] = []
    *whole, last = content.split(b"\n")
    lines = [line + b"\n" for line in whole] + [last] * bool(last)
    for number, line in enumerate(lines, first_line):
        event, odd = decode_line(line) if line.strip() else (None, ())
        events += [] if event is None else [event]
        numbers += [] if event is None else [number]
        issues += [(number, issue) for issue in odd]
    return Block([*events], numbers, issues, len(lines))


def told(block: Block) -> str:
    return repr((block.events, [*block.lines], block.issues, block.n_lines))


@given(CONTENTS, st.integers(1, 5))
def test_a_block_is_its_lines_one_by_one(content: bytes, first_line: int) -> None:
    assert told(decode_block(content, first_line)) == told(one_by_one(content, first_line))


@given(CONTENTS)
def test_a_batch_of_rows_is_the_batch_of_their_events(content: bytes) -> None:
    block = decode_block(content, 1)
    rows, events = build_batch(block.rows, 3), build_batch(block.events, 3)
    assert repr(rows.train_steps) == repr(events.train_steps)
    assert repr([*rows.steps_with_extras()]) == repr([*events.steps_with_extras()])
    assert (rows.run_id, rows.run_ids(), rows.extra_names) == (
        events.run_id,
        events.run_ids(),
        events.extra_names,
    )
    for name in ("start", "stop", "position", "step", "ts", *HOT_KEYS, "has_extras", "others"):
        assert repr(getattr(rows, name)) == repr(getattr(events, name))


@given(CONTENTS, st.lists(st.integers(0, 8), max_size=3))
def test_a_batch_is_its_parts_put_together(content: bytes, cuts: list[int]) -> None:
    rows = decode_block(content, 1).rows
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [build_batch(rows[low:high], low) for low, high in pairwise(edges)]
    joined, whole = concatenate(parts), build_batch(rows)
    assert (joined.run_id, joined.n_steps) == (whole.run_id, whole.n_steps)
    for name in ("start", "stop", "position", "step", "ts", *HOT_KEYS, "has_extras", "others"):
        assert repr(getattr(joined, name)) == repr(getattr(whole, name))
    assert repr(joined.train_steps) == repr(whole.train_steps)


def reading(path: Path, block_bytes: int, *, strict: bool) -> Sequence[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_module, "BLOCK_BYTES", block_bytes)
        patch.setattr(reader_module, "MAX_LINE_BYTES", 400)
        patch.setattr(reader_module, "PATIENCE_LINES", 3)
        reader = TelemetryReader(path, strict_schema=strict)
        events: list[object] = []
        try:
            events.extend(reader.iter_events())
        except TelemetryError as error:
            events.append(f"{type(error).__name__}: {error}")
        batches = [] if strict else _batches(path)
    return events, batches, () if isinstance(events[-1], str) else reader.issues


def _batches(path: Path) -> list[object]:
    try:
        return [
            (batch.start, batch.stop, batch.train_steps, batch.others)
            for batch in TelemetryReader(path).iter_batches(2)
        ]
    except TelemetryError as error:
        return [str(error)]


@given(CONTENTS, st.integers(1, 300), st.booleans())
def test_a_file_reads_the_same_in_blocks_of_any_size(
    content: bytes,
    block_bytes: int,
    strict: bool,  # noqa: FBT001  Hypothesis passes it by name
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        path.write_bytes(content)
        small = reading(path, block_bytes, strict=strict)
        assert repr(small) == repr(reading(path, 2**20, strict=strict))
