"""``convert``: the log of any known tool as telemetry v1."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from gradience.api.converting import convert
from gradience.api.monitoring import monitor
from gradience.core.errors import TelemetryError
from gradience.core.monitoring.report import MonitorReport
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.run_log import open_run_log
from tests.shared_data import DATA, SHARED, needs_shared_data

SHIPPED = sorted([*(DATA / "foreign_logs").glob("*.json*"), *(DATA / "gradience").glob("*.jsonl")])
REAL = sorted(
    [
        *SHARED.glob("**/trainer_state.json"),
        *SHARED.glob("other_logs/*/*.json*"),
        *SHARED.glob("gradience/telemetry_v1/*.jsonl"),
    ]
)
STATE = DATA / "foreign_logs" / "trl_sft_llama_r.trainer_state.json"


def named(path: Path) -> str:
    return f"{path.parent.parent.name}-{path.parent.name}-{path.name}"


def without_file(report: MonitorReport) -> MonitorReport:
    return msgspec.structs.replace(report, file="")


def assert_says_the_same(source: Path, out: Path) -> None:
    report = convert(source, out)
    events = [repr(event) for event in open_run_log(source).iter_events()]
    read_back = TelemetryReader(out)
    assert [repr(event) for event in read_back.iter_events()] == events
    assert read_back.issues == report.telemetry_issues == ()
    assert report.n_events == len(events) == sum(report.events.values())
    for line in out.read_text("utf-8").splitlines():
        json.loads(line, parse_constant=lambda token: pytest.fail(f"{token} is no strict JSON"))
    assert repr(without_file(monitor(out))) == repr(without_file(monitor(source)))


@pytest.mark.parametrize("path", SHIPPED, ids=named)
def test_a_shipped_log_says_the_same_when_converted(path: Path, tmp_path: Path) -> None:
    assert_says_the_same(path, tmp_path / "run.jsonl")


@needs_shared_data
@pytest.mark.parametrize("path", REAL, ids=named)
def test_every_real_log_says_the_same_when_converted(path: Path, tmp_path: Path) -> None:
    assert_says_the_same(path, tmp_path / "run.jsonl")


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    report = convert(STATE, out)
    assert (report.source, report.out, report.kind) == (str(STATE), str(out), "trainer_state")
    assert report.events == {"run_start": 1, "train_step": 10, "run_end": 1}
    (run_id,) = report.run_ids
    assert run_id.startswith("trainer_state-")


def test_converting_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    convert(STATE, first)
    convert(STATE, second)
    assert first.read_bytes() == second.read_bytes()


def test_what_was_odd_is_reported(tmp_path: Path) -> None:
    source = tmp_path / "log.jsonl"
    source.write_text('{"step": 1, "loss": "0.5"}\nnot json\n')
    report = convert(source, tmp_path / "run.jsonl")
    assert [issue.code for issue in report.telemetry_issues] == ["coerced_value", "not_json"]


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    convert(STATE, out)
    with pytest.raises(TelemetryError, match="--force"):
        convert(STATE, out)
    convert(STATE, out, force=True)


def test_a_log_is_not_written_over_itself(tmp_path: Path) -> None:
    source = tmp_path / "trainer_state.json"
    shutil.copy(STATE, source)
    before = source.read_bytes()
    with pytest.raises(TelemetryError, match="expected another file than the log"):
        convert(source, source, force=True)
    assert source.read_bytes() == before


def test_a_log_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    source = tmp_path / "config.json"
    source.write_text('{"peft_type": "LORA"}')
    with pytest.raises(TelemetryError, match="gradience check"):
        convert(source, tmp_path / "run.jsonl")
    assert list(tmp_path.iterdir()) == [source]
