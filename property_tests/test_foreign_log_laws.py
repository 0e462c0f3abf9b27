"""Laws of the logs of other tools: no number changes, nothing raises, a cut costs one row."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from gradience.api.converting import convert
from gradience.core.errors import GradienceError
from gradience.core.foreign_logs.checkpoints import PlacedState, group_checkpoints
from gradience.core.foreign_logs.convert import convert_rows
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.foreign_logs.rows import NumberedRow
from gradience.core.foreign_logs.trainer_state import convert_trainer_state
from gradience.core.telemetry.decode import decode_line
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import KnownEvent, TrainStep
from gradience.shell.telemetry.run_log import open_run_log
from property_tests.events import JSON_VALUES
from property_tests.foreign_rows import LLAMA_ROWS, PLAIN_STEPS, ROW_KINDS, ROWS, Row


def events_of(kind: LogFileKind, rows: Sequence[Row]) -> list[KnownEvent]:
    numbered = (NumberedRow(n, row) for n, row in enumerate(rows, 1))
    return [event for found in convert_rows(kind, numbered) for event in found.events]


def without_run(event: KnownEvent) -> str:
    return repr(event).replace(event.run_id, "")


@given(ROW_KINDS, st.lists(ROWS, max_size=4))
def test_any_rows_make_events_that_read_back_equal(kind: LogFileKind, rows: list[Row]) -> None:
    before = copy.deepcopy(rows)
    events = events_of(kind, rows)
    assert [repr(decode_line(encode_event(event)).event) for event in events] == list(
        map(repr, events)
    )
    assert repr(rows) == repr(before)


@given(st.lists(PLAIN_STEPS, max_size=6))
def test_no_number_of_a_training_step_changes(rows: list[Row]) -> None:
    _, *steps = events_of(LogFileKind.LOG_HISTORY, rows)
    assert len(steps) == len(rows)
    for step, row in zip(steps, rows, strict=True):
        assert isinstance(step, TrainStep)
        hot = {"loss": step.loss, "learning_rate": step.lr, "grad_norm": step.grad_norm}
        said = {**hot, "epoch": step.epoch, **step.extras, "step": step.step}
        logged = {key: value for key, value in said.items() if value is not None}
        assert {key: repr(value) for key, value in logged.items()} == {
            key: repr(value) for key, value in row.items()
        }


@given(st.lists(PLAIN_STEPS, max_size=6), st.integers(0, 6))
def test_an_earlier_checkpoint_says_the_beginning(rows: list[Row], kept: int) -> None:
    whole = list(map(without_run, events_of(LogFileKind.TRAINER_STATE, rows)))
    part = list(map(without_run, events_of(LogFileKind.TRAINER_STATE, rows[:kept])))
    assert part == whole[: len(part)]


@given(
    st.sampled_from([(PLAIN_STEPS, LogFileKind.STEP_LOG), (LLAMA_ROWS, LogFileKind.LLAMA_FACTORY)]),
    st.data(),
)
def test_a_log_cut_anywhere_gives_its_whole_rows(
    layout: tuple[st.SearchStrategy[Row], LogFileKind], data: st.DataObject
) -> None:
    rows = data.draw(st.lists(layout[0], min_size=1, max_size=5), label="rows")
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    cut = data.draw(st.integers(content.index(b"\n") + 1, len(content)), label="bytes left")
    whole = content[: cut + 1].count(b"\n")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(content[:cut])
        log = open_run_log(path)
        found = [repr(event).replace(str(event.run_id), "") for event in log.iter_events()]
        codes = [issue.code for issue in log.issues]
    expected = list(map(without_run, events_of(layout[1], rows[:whole])))
    assert log.kind is layout[1]
    assert found == expected
    inside_a_row = not content[:cut].endswith(b"\n") and content[cut : cut + 1] != b"\n"
    assert codes == (["torn_line"] if inside_a_row else [])


DOCUMENTS = (
    JSON_VALUES
    | st.lists(ROWS | JSON_VALUES, max_size=4)
    | st.dictionaries(st.sampled_from(["log_history", "max_steps", "a"]), JSON_VALUES, max_size=3)
    | st.builds(lambda rows: {"log_history": rows}, st.lists(ROWS | JSON_VALUES, max_size=4))
    | st.fixed_dictionaries(
        {
            "run_info": JSON_VALUES,
            "train_info": JSON_VALUES
            | st.builds(lambda rows: {"metrics": rows}, st.lists(ROWS, max_size=3)),
        }
    )
)


def assert_converts_or_declines(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "out.jsonl"
        source.write_bytes(content)
        try:
            convert(source, out)
        except GradienceError:
            assert not out.exists()
            return
        events = [repr(event) for event in open_run_log(source).iter_events()]
        assert [repr(event) for event in open_run_log(out).iter_events()] == events


@given(DOCUMENTS)
def test_any_document_is_converted_or_declined(document: object) -> None:
    assert_converts_or_declines(json.dumps(document).encode())


@given(
    st.lists(ROWS.map(lambda row: json.dumps(row).encode()) | st.binary(max_size=40), max_size=5)
)
def test_any_lines_are_converted_or_declined(lines: list[bytes]) -> None:
    assert_converts_or_declines(b"\n".join(lines))


@given(st.lists(st.text(max_size=60).map(lambda text: f"Step 1 | loss:1.0 {text}\n"), max_size=4))
def test_any_text_log_is_converted_or_declined(lines: list[str]) -> None:
    assert_converts_or_declines("".join(lines).encode())


@given(st.dictionaries(st.sampled_from(["log_history", "max_steps"]), JSON_VALUES))
def test_any_state_is_read_or_declined(state: dict[str, object]) -> None:
    try:
        list(convert_trainer_state(state, "x"))
    except GradienceError as error:
        assert str(error).startswith("x: expected")


@given(st.lists(st.lists(PLAIN_STEPS, max_size=4), max_size=4))
def test_every_state_is_in_one_run_whatever_the_order(histories: list[list[Row]]) -> None:
    states = [
        PlacedState(f"c{n}", {"log_history": rows, "max_steps": 9})
        for n, rows in enumerate(histories)
    ]
    runs = group_checkpoints(states)
    assert sorted(place for run in runs for place in run.places) == sorted(s.place for s in states)
    assert all(run.latest in run.places for run in runs)
    assert group_checkpoints(states[::-1]) == runs
