"""Any known log opens as events of telemetry v1."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.kinds import LogFileKind
from gradience.core.telemetry.events import event_name
from gradience.shell.telemetry.run_log import open_run_log
from tests.core.telemetry.sample_events import line
from tests.shared_data import DATA

FOREIGN = DATA / "foreign_logs"

SWIFT_ROW = {"loss": 2.0, "learning_rate": 1e-4, "global_step/max_steps": "1/9"}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (DATA / "gradience" / "fixture_vnext_minimal.jsonl", LogFileKind.TELEMETRY_V1),
        (FOREIGN / "trl_sft_llama_r.trainer_state.json", LogFileKind.TRAINER_STATE),
        (FOREIGN / "multi_eval_sets.trainer_state.json", LogFileKind.TRAINER_STATE),
        (FOREIGN / "llama_factory.trainer_log.jsonl", LogFileKind.LLAMA_FACTORY),
        (FOREIGN / "peft_rank64_rslora.result.json", LogFileKind.PEFT_RESULT),
    ],
)
def test_a_real_log_is_told_by_its_content(path: Path, kind: LogFileKind, tmp_path: Path) -> None:
    renamed = tmp_path / "log.txt"
    renamed.write_bytes(path.read_bytes())
    log = open_run_log(renamed)
    assert (log.kind, log.path) == (kind, renamed)
    assert event_name(next(iter(log.iter_events()))) == "run_start"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (json.dumps({"log_history": [{"step": 1, "loss": 2.0}]}), LogFileKind.TRAINER_STATE),
        (json.dumps([{"step": 1, "loss": 2.0}], indent=2), LogFileKind.LOG_HISTORY),
        (json.dumps([{"step": 1, "loss": 2.0}]), LogFileKind.LOG_HISTORY),
        ('[\n{"step": 1, "loss": 2.0},\n{"step": 2, "loss": 1.0}\n]', LogFileKind.LOG_HISTORY),
        ('{"log_history": [\n{"step": 1, "loss": 2.0}\n]}', LogFileKind.TRAINER_STATE),
        (json.dumps(SWIFT_ROW) + "\n", LogFileKind.MS_SWIFT),
        ("Step 1 | loss:2.0 lr:2e-05 \n", LogFileKind.TORCHTUNE),
        ("Writing logs\nStep 1 | loss:2.0 \n", LogFileKind.TORCHTUNE),
        ('\n\n{"step": 1, "loss": NaN}\n', LogFileKind.STEP_LOG),
        ('{"step": 1, "lo\n{"step": 1, "loss": 2.0}\n', LogFileKind.STEP_LOG),
        ('{"model": "m"}\n{"step": 1, "loss": 2.0}\n', LogFileKind.STEP_LOG),
        ('\ufeff{"step": 1, "loss": 2.0}\n', LogFileKind.STEP_LOG),
        ('\ufeff{"log_history": [{"step": 1, "loss": 2.0}]}', LogFileKind.TRAINER_STATE),
    ],
)
def test_a_layout_is_told_by_its_content(content: str, kind: LogFileKind, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(content, "utf-8")
    log = open_run_log(path)
    names = [event_name(event) for event in log.iter_events()]
    assert log.kind is kind
    assert names[:2] == ["run_start", "train_step"]


def test_a_document_longer_than_what_is_sniffed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    rows = [{"step": step, "loss": 1 / step} for step in range(1, 10_001)]
    path.write_text(json.dumps({"log_history": rows}), "utf-8")
    assert sum(1 for _ in open_run_log(path).iter_events("train_step")) == 10_000


def test_telemetry_with_a_damaged_beginning_is_telemetry(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 2.0}\n' + line("train_step", loss=1.0) + b"\n")
    log = open_run_log(path)
    assert log.kind is LogFileKind.TELEMETRY_V1
    assert [event_name(event) for event in log.iter_events()] == ["train_step"]
    assert [issue.code for issue in log.issues] == ["other_schema"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"[]", "an empty JSON list"),
        (b'{"peft_type": "LORA"}', r"a PEFT adapter_config\.json \(try: gradience check\)"),
        (b'{"architectures": ["X"], "model_type": "x"}', r"a model's config\.json"),
        (b'{"audit_timestamp": 1, "probe_rank": 2}', "an audit report"),
        (b'{"bench_version": 1, "probe": {}}', "a benchmark report"),
        (b'{"eval_loss": 1.0, "eval_runtime": 2.0}', "the metrics of one evaluation"),
        (b"PK\x03\x04", "a zip archive or a torch checkpoint"),
        (b"a haiku\nin three\nlines\n", "lines that are not JSON"),
        (b'{"a": 1, "b": 2}', r"records without a schema \(keys: a, b\)"),
    ],
)
def test_anything_else_is_refused_by_what_it_is(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(TelemetryError, match=rf"file\.json.* found {words}.*Record the run with"):
        list(open_run_log(path).iter_events())


def test_a_trainer_state_that_is_cut_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_bytes((FOREIGN / "trl_sft_llama_r.trainer_state.json").read_bytes()[:2000])
    with pytest.raises(TelemetryError, match=r"trainer_state\.json: expected one JSON document"):
        open_run_log(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match=r"run\.jsonl: cannot read"):
        list(open_run_log(tmp_path / "run.jsonl").iter_events())


def test_a_folder_stands_for_its_run(tmp_path: Path) -> None:
    path = tmp_path / "trainer_state.json"
    path.write_bytes((FOREIGN / "trl_sft_llama_r.trainer_state.json").read_bytes())
    assert open_run_log(tmp_path).path == path


def test_telemetry_does_not_wait_for_the_readers_of_other_logs() -> None:
    path = DATA / "gradience" / "fixture_vnext_minimal.jsonl"
    script = (
        "import sys; from gradience.shell.telemetry.run_log import open_run_log; "
        f"list(open_run_log({str(path)!r}).iter_batches()); "
        "print([name for name in sys.modules if 'foreign' in name or name == 'hashlib'])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    names = ["gradience.core.foreign_logs", "gradience.core.foreign_logs.kinds"]
    assert printed.stdout.decode().strip() == str(names)
