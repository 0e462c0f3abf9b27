"""The recorder: no failure of the disk ends a training, and what was lost is told."""

import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from transformers import TrainerState, TrainingArguments

from gradience.core.errors import ConfigError, TelemetryError
from gradience.core.telemetry.events import RunStatus
from gradience.shell.telemetry.writer import TelemetryWriter
from gradience.shell.trainer.recorder import RunRecorder, described
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from gradience.vnext.telemetry_reader import TelemetryReader
from tests.shell.trainer.tiny_trainer import tiny_model, tiny_trainer

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

MODEL = None

NOBODY = 65534


def records(path: Path) -> list[dict[str, object]]:
    """The lines of a file that are whole."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def arguments(folder: Path) -> TrainingArguments:
    return TrainingArguments(output_dir=str(folder), use_cpu=True, report_to=[])


def step(number: int) -> Callable[[TelemetryWriter], None]:
    return lambda writer: writer.train_step(number, loss=1.0)


def begun(
    folder: Path, config: GradienceCallbackConfig | None = None, *, rank_zero: bool = True
) -> tuple[RunRecorder, TrainingArguments, TrainerState]:
    recorder, args = RunRecorder(config or GradienceCallbackConfig()), arguments(folder)
    state = TrainerState(is_world_process_zero=rank_zero)
    recorder.begin(args, state, MODEL)
    return recorder, args, state


def test_what_a_full_disk_lost_is_told_by_the_next_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, args, state = begun(tmp_path)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: len(data) - 10])

    monkeypatch.setattr(os, "write", full)
    with caplog.at_level(logging.WARNING, logger="gradience"):
        for number in (1, 2, 3):
            recorder.record(args, state, step(number))
    monkeypatch.undo()
    for number in (4, 5):
        recorder.record(args, state, step(number))
    recorder.end(RunStatus.OK)
    found = {record["step"]: record.get("dropped_events") for record in records(recorder.path)}  # type: ignore[arg-type]  # it was opened
    assert found == {None: None, 4: 3, 5: None, 0: None}
    assert recorder.dropped_events == 3
    assert [record.name for record in caplog.records] == ["gradience"]


def test_a_value_that_cannot_be_recorded_is_counted_like_a_full_disk(tmp_path: Path) -> None:
    recorder, args, state = begun(tmp_path)
    recorder.record(args, state, lambda writer: writer.train_step(7.5))  # type: ignore[arg-type]  # no step
    recorder.record(args, state, step(8))
    recorder.end(RunStatus.OK)
    assert [record.get("dropped_events") for record in records(tmp_path / "run.jsonl")] == [
        None, 1, None,
    ]  # fmt: skip


def test_a_folder_that_appears_late_gets_the_rest_and_the_number_of_the_lost(
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    recorder, args, state = begun(tmp_path, GradienceCallbackConfig(output_dir=blocked))
    recorder.record(args, state, step(1))
    blocked.unlink()
    recorder.record(args, state, step(2))
    recorder.end(RunStatus.OK)
    found = records(blocked / "run.jsonl")
    assert [(record["event"], record.get("dropped_events")) for record in found] == [
        ("train_step", 2), ("run_end", None),
    ]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_training_goes_on_where_the_disk_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run.jsonl").symlink_to("/dev/full")
    callback = GradienceCallback()
    assert tiny_trainer(tmp_path, callback).train().global_step == 8
    assert callback.dropped_events == 7
    assert [record.name for record in caplog.records].count("gradience") == 1
    assert "No space left" in caplog.text


def test_training_goes_on_where_the_folder_is_deleted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    recorder, args, state = begun(out)
    recorder.record(args, state, step(1))
    shutil.rmtree(out)
    recorder._writer._file._looked -= 5.0  # type: ignore[union-attr]  # as if time had passed
    recorder.record(args, state, step(2))
    recorder.end(RunStatus.OK)
    assert [record["event"] for record in records(out / "run.jsonl")][-2:] == [
        "train_step",
        "run_end",
    ]
    assert recorder.dropped_events == 0


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that the process may read and not write, also where root runs the tests."""
    folder, user = Path(tempfile.mkdtemp()), os.geteuid()
    folder.chmod(0o555)
    if user == 0:
        os.seteuid(NOBODY)
    yield folder
    os.seteuid(user)
    folder.rmdir()


def test_a_read_only_folder_loses_all_and_ends_nothing(
    read_only: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder, args, state = begun(read_only)
    recorder.record(args, state, step(1))
    recorder.end(RunStatus.OK)
    assert recorder.dropped_events == 3
    assert list(read_only.iterdir()) == []
    assert caplog.text.count("Permission denied") == 1


def test_a_run_that_could_not_be_ended_is_ended_by_the_next_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int, __: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    recorder, _, _ = begun(tmp_path)
    monkeypatch.setattr(os, "write", full)
    recorder.interrupt("SIGTERM")
    monkeypatch.undo()
    recorder.end(RunStatus.ABORTED, "SystemExit")
    last = records(tmp_path / "run.jsonl")[-1]
    assert (last["reason"], last["dropped_events"]) == ("SystemExit", 1)


def test_an_event_that_a_signal_interrupts_is_written_all_the_same(tmp_path: Path) -> None:
    recorder, args, state = begun(tmp_path)

    def interrupted(writer: TelemetryWriter) -> None:
        recorder.interrupt("SIGTERM")
        writer.train_step(1, loss=0.5)

    recorder.record(args, state, interrupted)
    recorder.end(RunStatus.OK)
    found = [record["event"] for record in records(tmp_path / "run.jsonl")]
    assert found == ["run_start", "run_end", "train_step", "run_end"]
    assert recorder.dropped_events == 0


def test_a_run_is_ended_once(tmp_path: Path) -> None:
    recorder, _, _ = begun(tmp_path)
    recorder.interrupt("SIGTERM")
    recorder.end(RunStatus.ABORTED, "SystemExit")
    recorder.end(RunStatus.ERROR, "again")
    ends = [record["reason"] for record in records(tmp_path / "run.jsonl")[1:]]
    assert ends == ["SIGTERM"]


@pytest.mark.parametrize("per_rank_files", [False, True])
def test_another_rank_writes_its_own_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, per_rank_files: bool
) -> None:
    zero, _, _ = begun(tmp_path)
    monkeypatch.setattr(TrainingArguments, "process_index", 3)
    config = GradienceCallbackConfig(per_rank_files=per_rank_files)
    recorder, args, state = begun(tmp_path, config, rank_zero=False)
    recorder.record_own(lambda writer: writer.alert("info", "EARLY", "m", step=0))
    assert not (tmp_path / "run.rank3.jsonl").exists()
    recorder.step_begun()
    recorder.record(args, state, step(1))
    recorder.record_own(lambda writer: writer.alert("info", "LATE", "m", step=1))
    recorder.end(RunStatus.OK)
    zero.end(RunStatus.OK)
    path = tmp_path / "run.rank3.jsonl"
    assert path.exists() == per_rank_files
    if per_rank_files:
        found = records(path)
        said = [record.get("code") or record.get("status") for record in found]
        assert said == ["EARLY", "LATE", "ok"], "what was said, and that it ended well"
        ours = {record["run_id"] for record in found}
        assert ours == {event.run_id for event in TelemetryReader(zero.path or "").iter_events()}


def test_nothing_of_a_process_alone_is_recorded_outside_training(tmp_path: Path) -> None:
    recorder = RunRecorder(GradienceCallbackConfig(output_dir=tmp_path))
    recorder.record_own(lambda writer: writer.alert("info", "CODE", "m"))
    recorder.interrupt("SIGTERM")
    recorder.end(RunStatus.OK)
    assert list(tmp_path.iterdir()) == []


def test_events_are_put_on_the_disk_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    recorder, args, state = begun(tmp_path, GradienceCallbackConfig(fsync_s=0))
    before = len(synced)
    recorder.record(args, state, step(1))
    assert len(synced) == before + 1
    recorder.end(RunStatus.OK)


@pytest.mark.parametrize("fsync_s", [-1, float("nan")])
def test_an_fsync_policy_that_is_none_fails_at_once(fsync_s: float) -> None:
    with pytest.raises(ConfigError, match="fsync_s: expected None or seconds from 0 on, found"):
        GradienceCallbackConfig(fsync_s=fsync_s)


def test_only_gradiences_own_messages_are_quoted() -> None:
    assert described(ValueError("secret")) == "ValueError"
    assert described(TelemetryError("ours")) == "TelemetryError: ours"


def test_a_run_start_that_fails_does_not_keep_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("gradience.shell.trainer.recorder.run_meta", broken)
    callback = GradienceCallback()
    assert tiny_trainer(tmp_path, callback, model=tiny_model()).train().global_step == 8
    found = records(tmp_path / "run.jsonl")
    assert (found[0]["event"], found[0]["dropped_events"]) == ("train_step", 1)
    assert callback.dropped_events == 1
