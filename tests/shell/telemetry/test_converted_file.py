"""A converted file is there whole or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.build import EventBuilder
from gradience.core.telemetry.events import AnyEvent
from gradience.shell.telemetry.converted_file import write_whole_file
from gradience.shell.telemetry.reader import TelemetryReader

EVENT = EventBuilder(run_id="r").metrics(0.0, 1, "k", {"a": float("nan")}, {})


def breaking() -> Iterator[AnyEvent]:
    yield EVENT
    raise TelemetryError("no more")


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.jsonl"
    write_whole_file(path, [EVENT, EVENT])
    assert repr(list(TelemetryReader(path).iter_events())) == repr([EVENT, EVENT])
    assert b"NaN" not in path.read_bytes()
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"mine")
    with pytest.raises(TelemetryError, match=r"there already\. Name another, or .* --force"):
        write_whole_file(path, [EVENT])
    assert path.read_bytes() == b"mine"
    write_whole_file(path, [EVENT], force=True)
    assert path.read_bytes() != b"mine"


def test_events_that_break_off_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"mine")
    with pytest.raises(TelemetryError, match="no more"):
        write_whole_file(path, breaking(), force=True)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match=r"found a folder\. Name a file\."):
        write_whole_file(tmp_path, [EVENT], force=True)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TelemetryError, match=r"cannot write: .*\. Name a file elsewhere"):
        write_whole_file(tmp_path / "file" / "run.jsonl", [EVENT])


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path, mask: int, mode: int) -> None:
    path = tmp_path / "run.jsonl"
    before = os.umask(mask)
    try:
        write_whole_file(path, [EVENT])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"mine")
    path.chmod(0o640)
    write_whole_file(path, [EVENT], force=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(TelemetryError, match=r"found a device or a pipe\. Name a file\."):
        write_whole_file(path, [EVENT], force=True)
    assert path.is_fifo()
