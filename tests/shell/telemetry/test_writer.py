"""The writer: appends whole lines, loses nothing, and closes the run it opened."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradience.core.errors import TelemetryError, TextViolationError
from gradience.core.severity import Severity
from gradience.core.telemetry.events import (
    Recommendation,
    RunStatus,
    TrainStep,
    UnknownEvent,
)
from gradience.shell.telemetry.appended_file import AppendedFile, FilePolicy
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter, status_of

EMPTY: dict[str, object] = {}


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def last(path: Path) -> dict[str, object]:
    return records(path)[-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "run.jsonl"


def test_every_kind_of_event_has_the_envelope_of_the_contract(path: Path) -> None:
    item = Recommendation(severity=Severity.INFO, action="set_lr", message="m")
    with TelemetryWriter(path, run_id="r", clock=lambda: 2.5) as writer:
        writer.run_start(EMPTY)
        writer.train_step(1, loss=0.5)
        writer.eval(1, split="test", metrics={"loss": 1.0})
        writer.metrics(1, kind="guard", metrics={"ring_size": 5})
        writer.alert("warning", "code", "message", step=1)
        writer.recommendation(item, step=1)
        writer.run_end("ok", step=1)
    envelope = ["schema", "ts", "run_id", "step"]
    for record in records(path):
        assert [record[key] for key in envelope[:3]] == ["gradience.vnext.telemetry/v1", 2.5, "r"]
        assert "step" in record
    names = ["run_start", "train_step", "eval", "metrics", "alert", "recommendation", "run_end"]
    assert [record["event"] for record in records(path)] == names


def test_each_event_is_one_write_of_one_whole_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    real = os.write

    def recorded(descriptor: int, data: bytes) -> int:
        writes.append(data)
        return real(descriptor, data)

    with TelemetryWriter(path) as writer:
        monkeypatch.setattr(os, "write", recorded)
        writer.train_step(1, loss=0.5)
        writer.train_step(2, loss=0.25)
        monkeypatch.undo()
    assert len(writes) == 2
    assert all(data.count(b"\n") == 1 and data.endswith(b"\n") for data in writes)


def test_a_short_write_is_finished(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with TelemetryWriter(path) as writer:
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
        writer.train_step(1, loss=0.5)
        monkeypatch.undo()
    assert last(path)["loss"] == 0.5


def test_a_second_writer_appends(path: Path) -> None:
    for step in (1, 2):
        with TelemetryWriter(path) as writer:
            writer.train_step(step)
    assert [record["step"] for record in records(path)] == [1, 2]


def test_after_a_torn_tail_the_first_event_starts_on_a_fresh_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"torn": ')
    with TelemetryWriter(path) as writer:
        writer.train_step(1)
    lines = path.read_bytes().splitlines()
    assert lines[0] == b'{"torn": '
    assert json.loads(lines[1])["step"] == 1


def test_leaving_normally_ends_the_run_ok(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.run_start(EMPTY)
    assert (last(path)["event"], last(path)["status"]) == ("run_end", "ok")


@pytest.mark.parametrize(
    ("kind", "status"),
    [(KeyboardInterrupt, "aborted"), (SystemExit, "aborted"), (ValueError, "error")],
)
def test_leaving_by_an_exception_gives_its_type_and_never_its_text(
    path: Path, kind: type[BaseException], status: str
) -> None:
    with pytest.raises(kind), TelemetryWriter(path) as writer:
        writer.run_start(EMPTY)
        raise kind("a secret")
    assert (last(path)["status"], last(path)["reason"]) == (status, kind.__name__)
    assert b"secret" not in path.read_bytes()


def test_a_run_that_was_ended_is_not_ended_again(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.run_start(EMPTY)
        writer.run_end("aborted", "by hand")
    assert [record["event"] for record in records(path)] == ["run_start", "run_end"]
    assert last(path)["reason"] == "by hand"


def test_a_writer_that_opened_no_run_ends_none(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.train_step(1)
    assert len(records(path)) == 1


@pytest.mark.parametrize("loss", [np.float32(0.5), np.array([0.5]), np.array(0.5), 0.5])
def test_numbers_may_be_numpys(path: Path, loss: object) -> None:
    with TelemetryWriter(path) as writer:
        writer.train_step(1, loss=loss, tokens=np.int64(7))
    assert (last(path)["loss"], last(path)["tokens"]) == (0.5, 7)


def test_numbers_may_be_torchs(path: Path) -> None:
    torch = pytest.importorskip("torch")
    with TelemetryWriter(path) as writer:
        writer.train_step(1, loss=torch.tensor(0.5), grad_norm=torch.tensor([2.0]))
        writer.eval(1, split="test", metrics={"loss": torch.tensor(1.5)})
    assert (records(path)[0]["loss"], records(path)[0]["grad_norm"]) == (0.5, 2.0)
    assert last(path)["metrics"] == {"loss": 1.5}


def test_a_loss_that_is_no_number_is_kept_under_another_name(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.train_step(1, loss="n/a")
    assert last(path)["extra_loss"] == "n/a"
    assert "loss" not in last(path)


def test_extras_with_reserved_names_get_a_prefix(path: Path) -> None:
    with TelemetryWriter(path, run_id="r") as writer:
        writer.train_step(1, event="mine", run_id="mine", schema="mine")
    assert (last(path)["event"], last(path)["extra_event"]) == ("train_step", "mine")
    assert (last(path)["run_id"], last(path)["extra_run_id"]) == ("r", "mine")


def test_nonfinite_numbers_are_strict_json(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.train_step(1, loss=float("nan"))
    assert b"NaN" not in path.read_bytes()
    assert last(path)["nonfinite"] == {"loss": "nan"}


def test_long_text_is_redacted(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.train_step(1, prompt="x" * 257)
    assert last(path)["prompt"] == "[REDACTED len=257]"


def test_long_text_can_be_refused_and_then_nothing_is_written(path: Path) -> None:
    with (
        TelemetryWriter(path, on_text_violation="raise", max_str_len=8) as writer,
        pytest.raises(TextViolationError, match=r"^prompt: .*at most 8 characters, found 9"),
    ):
        writer.train_step(1, prompt="x" * 9)
    assert path.read_bytes() == b""


def test_long_text_can_be_allowed(path: Path) -> None:
    with TelemetryWriter(path, allow_text=True) as writer:
        writer.train_step(1, prompt="x" * 1000)
    assert last(path)["prompt"] == "x" * 1000


def test_a_closed_writer_says_so(path: Path) -> None:
    writer = TelemetryWriter(path)
    writer.close()
    writer.close()
    with pytest.raises(TelemetryError, match=r"expected an open writer, found it closed"):
        writer.train_step(1)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match=r"cannot open .* for append: .*Name a file"):
        TelemetryWriter(tmp_path)


def test_a_refused_write_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    with TelemetryWriter(path) as writer:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(TelemetryError, match=r"run\.jsonl: cannot append .*No space left"):
            writer.train_step(1)
        monkeypatch.undo()


def test_after_a_full_disk_the_next_event_tells_how_many_were_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if data.lstrip().startswith(b"{"):
            return real(descriptor, data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with TelemetryWriter(path) as writer:
        writer.train_step(1)
        monkeypatch.setattr(os, "write", full)
        for step in (2, 3):
            with pytest.raises(TelemetryError, match="No space left"):
                writer.train_step(step)
        monkeypatch.undo()
        assert writer.dropped_events == 2
        writer.train_step(4, dropped=0)
        writer.train_step(5)
    reader = TelemetryReader(path)
    steps = {e.step: e.extras for e in reader.iter_events() if isinstance(e, TrainStep)}
    assert steps == {1: {}, 4: {"dropped": 0, "dropped_events": 2}, 5: {}}
    assert [issue.code for issue in reader.issues if issue.severity is Severity.WARNING] == [
        "not_json",
        "not_json",
    ]


def test_a_file_size_limit_loses_events_and_no_process(path: Path) -> None:
    path.parent.mkdir()
    script = """
import resource, sys
from gradience.core.errors import TelemetryError
from gradience.vnext.telemetry import TelemetryWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
writer = TelemetryWriter(sys.argv[1], run_id="r", clock=lambda: 0.0)
for step in range(20):
    try:
        writer.train_step(step)
    except TelemetryError as error:
        assert "File too large" in str(error)
lost = writer.dropped_events
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
writer.train_step(20)
print(lost)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    lost = int(done.stdout)
    lines = path.read_bytes().splitlines()
    assert 0 < lost < 20
    assert len(lines) == 20 - lost + 2
    assert json.loads(lines[-1])["dropped_events"] == lost


def test_an_event_that_cannot_be_encoded_is_told_and_counted(path: Path) -> None:
    event = TrainStep(schema="s", ts=0.0, run_id="r", step=1, extras={"odd": object()})
    unknown = UnknownEvent(event="mine", schema="s", payload={"event": "mine"})
    with TelemetryWriter(path) as writer:
        with pytest.raises(TelemetryError, match=r"plain JSON data, found one .*TypeError"):
            writer.write(event)
        writer.write(unknown)
    assert records(path) == [{"event": "mine", "dropped_events": 1}]
    assert unknown.payload == {"event": "mine"}


def test_a_deleted_file_is_made_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TelemetryWriter(path) as writer:
        monkeypatch.setattr(writer, "_file", AppendedFile(path, FilePolicy(look_s=0.0)))
        writer.train_step(1)
        path.unlink()
        writer.train_step(2)
    assert [record["step"] for record in records(path)] == [1, 2]
    assert writer.dropped_events == 0


@pytest.mark.parametrize("fsync_s", [-1.0, float("nan"), float("inf")])
def test_an_fsync_policy_that_is_none_is_refused_before_the_file_is_made(
    path: Path, fsync_s: float
) -> None:
    with pytest.raises(TelemetryError, match="fsync_s: expected None or seconds from 0 on"):
        TelemetryWriter(path, fsync_s=fsync_s)
    assert not path.exists()


def test_events_can_be_put_on_the_disk_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with TelemetryWriter(path, fsync_s=0) as writer:
        synced.clear()
        writer.train_step(1)
        writer.train_step(2)
    assert len(synced) == 2


def test_a_disk_that_cannot_be_flushed_is_named_on_closing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = TelemetryWriter(path, fsync_s=100)
    writer.train_step(1)
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(TelemetryError, match=r"cannot flush to the disk: .*Input/output"):
        writer.close()


def test_runs_get_different_ids(path: Path) -> None:
    with TelemetryWriter(path) as one, TelemetryWriter(path) as other:
        assert one.run_id != other.run_id


def test_the_status_follows_the_exception() -> None:
    assert status_of(None) is RunStatus.OK
    assert status_of(GeneratorExit) is RunStatus.ERROR


def test_what_cannot_be_done_about_text_is_refused_before_the_file_is_made(path: Path) -> None:
    with pytest.raises(TelemetryError, match="on_text_violation: expected 'redact' or 'raise'"):
        TelemetryWriter(path, on_text_violation="drop")  # type: ignore[arg-type]  # under test
    assert not path.exists()


def test_a_wrong_status_writes_nothing_and_leaves_the_run_open(path: Path) -> None:
    with TelemetryWriter(path) as writer:
        writer.run_start({})
        with pytest.raises(TelemetryError, match="one of ok, aborted, error, found 'done'"):
            writer.run_end("done")
        with pytest.raises(TelemetryError, match="severity: expected one of"):
            writer.alert("loud", "code", "message")
    assert last(path)["status"] == "ok"
