"""The reader: one pass, whatever the file has been through."""

from pathlib import Path

import pytest

from gradience.core.errors import TelemetryError, TelemetrySchemaError
from gradience.core.telemetry.events import UnknownEvent, event_name
from gradience.shell.telemetry import reader as reader_module
from gradience.shell.telemetry.reader import TelemetryReader
from tests.core.telemetry.sample_events import line

START = line("run_start", config={"model_name": "first"})
AGAIN = line("run_start", config={"model_name": "second"})
STEP = line("train_step", loss=2.0)
TEST = line("eval", split="test", metrics={"loss": 3.0, "f1": 0.5})
EVAL = line("eval", split="eval", step=2, metrics={"loss": 4.0})
END = line("run_end", status="ok")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def reader(path: Path, *lines: bytes, end: bytes = b"\n", strict: bool = False) -> TelemetryReader:
    path.write_bytes(b"\n".join(lines) + end)
    return TelemetryReader(path, strict_schema=strict)


def names(found: TelemetryReader) -> list[str]:
    return [event_name(event) for event in found.iter_events()]


def test_events_come_in_file_order_and_by_type(path: Path) -> None:
    found = reader(path, START, STEP, TEST, END)
    assert names(found) == ["run_start", "train_step", "eval", "run_end"]
    assert [event_name(event) for event in found.iter_events("eval")] == ["eval"]
    assert found.issues == ()


def test_a_torn_last_line_is_an_issue(path: Path) -> None:
    found = reader(path, START, STEP, TEST[:30], end=b"")
    assert names(found) == ["run_start", "train_step"]
    (issue,) = found.issues
    assert (issue.code, issue.line) == ("torn_line", 3)
    assert "cut off after 30 bytes" in issue.message


def test_a_last_line_without_its_newline_is_whole(path: Path) -> None:
    found = reader(path, START, END, end=b"")
    assert names(found) == ["run_start", "run_end"]
    assert found.issues == ()


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (b"\xff\xfe\x00 binary", "not_json"),
        (STEP[:25], "not_json"),
        (b'{"schema": "gradience.vnext.telemetry/v2"}', "other_schema"),
        (b"[]", "not_object"),
    ],
)
def test_an_odd_line_in_the_middle_costs_only_itself(path: Path, odd: bytes, code: str) -> None:
    found = reader(path, START, odd, STEP, odd, END)
    assert names(found) == ["run_start", "train_step", "run_end"]
    (issue,) = found.issues
    assert (issue.code, issue.line, issue.count) == (code, 2, 2)


def test_blank_lines_are_nothing(path: Path) -> None:
    found = reader(path, b"", START, b"   ", b"\r", END, b"")
    assert names(found) == ["run_start", "run_end"]
    assert found.issues == ()


def test_unknown_events_are_kept_and_reported(path: Path) -> None:
    found = reader(path, START, line("news", text="x"))
    *_, news = found.iter_events()
    assert isinstance(news, UnknownEvent)
    assert news.payload["text"] == "x"
    assert [issue.code for issue in found.issues] == ["unknown_event"]


def test_the_latest_config_and_evaluations(path: Path) -> None:
    found = reader(path, START, TEST, AGAIN, EVAL)
    config, metrics, event = found.latest_config(), found.latest_eval(), found.latest_eval_event()
    assert config is not None
    assert config.model_name == "second"
    assert metrics is not None
    assert metrics.loss == 4.0
    assert event is not None
    assert event.split == "eval"


def test_the_latest_evaluation_of_a_split(path: Path) -> None:
    found = reader(path, TEST, EVAL).latest_eval("test")
    assert found is not None
    assert (found.loss, found.extras) == (3.0, {"f1": 0.5})
    assert TelemetryReader(path).latest_eval("train") is None


def test_without_config_or_evaluation_there_is_none(path: Path) -> None:
    found = reader(path, STEP)
    assert (found.latest_config(), found.latest_eval()) == (None, None)


def test_the_summary_is_of_the_file(path: Path) -> None:
    summary = reader(path, START, STEP, TEST).summarize()
    assert (summary.train.loss, summary.test.loss) == (2.0, 3.0)


def test_validate_reads_everything_anew_each_time(path: Path) -> None:
    found = reader(path, START, b"odd", END)
    assert [issue.count for issue in found.validate()] == [1]
    assert [issue.count for issue in found.validate()] == [1]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_hold_every_event_once(path: Path, size: int) -> None:
    batches = [*reader(path, START, STEP, STEP, TEST, END).iter_batches(size)]
    edges = [(batch.start, batch.stop) for batch in batches]
    assert edges == [(at, min(at + size, 5)) for at in range(0, 5, size)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "found an empty file"),
        (b"\n\n", "found an empty file"),
        (b"not json\nat all\n", "run.jsonl:1: .*found lines that are not JSON"),
        (START[:40], "found lines that are not JSON"),
    ],
)
def test_a_file_without_an_event_is_refused_in_words(
    path: Path, content: bytes, words: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(TelemetryError, match=rf"{words}.*Record the run with GradienceCallback"):
        TelemetryReader(path).validate()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"log_history": []}', "found a Hugging Face trainer_state.json"),
        (b'{\n  "log_history": []\n}\n', "found a Hugging Face trainer_state.json"),
        (b'{"current_steps": 1, "total_steps": 2}\n', "found a LLaMA-Factory trainer_log.jsonl"),
        (b'{"step": 1, "loss": 2}\n', "found a plain step log"),
        (b'{"schema": "other/v3"}\n', "run.jsonl:1: .*found schema 'other/v3'"),
        (b"[1, 2]", "found a JSON list"),
    ],
)
def test_another_tools_file_is_refused_by_name(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TelemetrySchemaError, match=words):
        TelemetryReader(path).validate()


def test_a_record_of_another_schema_may_also_come_first(path: Path) -> None:
    assert names(reader(path, b'{"schema": "other/v3"}', START, END)) == ["run_start", "run_end"]


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(TelemetryError, match=r"run\.jsonl: cannot read .*No such file"):
        TelemetryReader(path).validate()


def test_a_strict_reader_stops_at_the_line(path: Path) -> None:
    found = reader(path, START, b"odd", END, strict=True)
    with pytest.raises(TelemetryError, match=r"run\.jsonl:2: .*Leave out --strict-schema"):
        found.validate()


def test_a_strict_reader_lets_news_pass(path: Path) -> None:
    assert [issue.code for issue in reader(path, line("news"), strict=True).validate()] == [
        "unknown_event"
    ]


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_too_long_to_hold_is_skipped_and_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    monkeypatch.setattr(reader_module, "MAX_LINE_BYTES", 200)
    long = line("train_step", note="x" * 1000)
    found = reader(path, START, long, STEP, long, end=end)
    assert names(found) == ["run_start", "train_step"]
    (issue,) = found.issues
    assert (issue.code, issue.line, issue.count) == ("line_too_long", 2, 2)


def test_a_line_too_long_to_hold_is_an_error_where_strict(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_LINE_BYTES", 200)
    found = reader(path, START, line("train_step", note="x" * 1000), strict=True)
    with pytest.raises(TelemetryError, match=r"run\.jsonl:2: expected a line of less than"):
        found.validate()


def test_an_odd_value_is_an_error_where_strict(path: Path) -> None:
    found = reader(path, START, line("train_step", grad_norm="tensor(0.5)"), strict=True)
    with pytest.raises(TelemetryError, match=r"run\.jsonl:2: .*'grad_norm', found str"):
        found.validate()


def test_what_a_kill_tore_is_named_by_its_line_and_the_resume_after_it_is_read(path: Path) -> None:
    again = line("run_start", config={}, meta={"resumed_from_step": 1})
    found = reader(path, START, STEP, TEST[:30], again, STEP, END[:12], again, END)
    assert names(found) == [*["run_start", "train_step"] * 2, "run_start", "run_end"]
    issues = [(issue.code, issue.line) for issue in found.issues]
    assert issues == [("not_json", 3), ("not_json", 6)]
    assert found.summarize().train.loss == 2.0


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_record_torn_anywhere_costs_only_itself(path: Path, cut: int) -> None:
    found = reader(path, START, STEP[: len(STEP) - cut], STEP, END)
    assert names(found) == ["run_start", "train_step", "run_end"]
    assert [issue.line for issue in found.issues] == [2]


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_the_blocks_a_file_is_read_in_do_not_show(
    path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(reader_module, "BLOCK_BYTES", size)
    noted = line("train_step", kl=0.5)
    found = reader(path, START, noted, b"", STEP, b"odd", noted, END[:20], END, STEP[:9], end=b"")
    assert names(found) == ["run_start", *["train_step"] * 3, "run_end"]
    issues = [(issue.code, issue.line) for issue in found.issues]
    assert issues == [("not_json", 5), ("not_json", 7), ("torn_line", 9)]


def test_a_strict_reader_gives_what_stands_before_the_odd_line(path: Path) -> None:
    found = reader(path, START, STEP, b"odd", END, strict=True)
    events = []
    with pytest.raises(TelemetryError, match=r"run\.jsonl:3: "):
        for event in found.iter_events():
            events.append(event_name(event))  # noqa: PERF401  up to the error
    assert events == ["run_start", "train_step"]


def test_a_file_of_strangers_is_refused_without_reading_on(path: Path) -> None:
    other = b'{"schema": "other/v3"}'
    with pytest.raises(TelemetrySchemaError, match=r"run\.jsonl:1: .*found schema 'other/v3'"):
        reader(path, *[other] * 100, START).validate()
    assert names(reader(path, *[other] * 99, START)) == ["run_start"]
