"""The appended file: whole lines whatever the disk does, and an honest word where it does not."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gradience.shell.telemetry.appended_file import CARRIED_BYTES, AppendedFile, FilePolicy


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "file.jsonl"


def full_after(count: int) -> Callable[[int, bytes], int]:
    """A write that takes ``count`` bytes and then finds the disk full."""
    real, left = os.write, [count]

    def write(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, left[0] = data[: left[0]], 0
        return real(descriptor, taken)

    return write


def test_a_line_after_a_partial_write_starts_fresh(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AppendedFile(path)
    file.append(b"one\n")
    monkeypatch.setattr(os, "write", full_after(2))
    with pytest.raises(OSError, match="No space left"):
        file.append(b"two\n")
    monkeypatch.undo()
    file.append(b"three\n")
    file.append(b"four\n")
    file.close()
    assert path.read_bytes() == b"one\ntw\nthree\nfour\n"


def test_a_refused_line_leaves_no_trace(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendedFile(path)
    file.append(b"one\n")
    monkeypatch.setattr(os, "write", full_after(0))
    with pytest.raises(OSError, match="No space left"):
        file.append(b"two\n")
    monkeypatch.undo()
    file.append(b"three\n")
    file.close()
    assert path.read_bytes() == b"one\nthree\n"


def test_an_interrupt_within_a_write_tears_no_later_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        real(descriptor, data[:2])
        raise KeyboardInterrupt

    file = AppendedFile(path)
    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file.append(b"one\n")
    monkeypatch.undo()
    file.append(b"two\n")
    file.close()
    assert path.read_bytes() == b"on\ntwo\n"


@pytest.mark.parametrize("whole_folder", [False, True])
def test_after_a_deletion_nothing_since_the_last_look_is_lost(
    path: Path, clock: Clock, *, whole_folder: bool
) -> None:
    file = AppendedFile(path, FilePolicy(look_s=1.0), clock)
    file.append(b"seen\n")
    clock.now = 1.0
    file.append(b"one\n")
    if whole_folder:
        shutil.rmtree(path.parent)
    else:
        path.unlink()
    clock.now = 1.5
    file.append(b"two\n")
    assert not path.exists()
    clock.now = 2.0
    file.append(b"three\n")
    file.append(b"four\n")
    file.close()
    assert path.read_bytes() == b"one\ntwo\nthree\nfour\n"


def test_what_a_deleted_file_held_waits_until_it_can_be_written(path: Path, clock: Clock) -> None:
    file = AppendedFile(path, FilePolicy(look_s=1.0), clock)
    file.append(b"one\n")
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way")
    clock.now = 1.0
    for _ in range(2):
        with pytest.raises(OSError, match="exists"):
            file.append(b"lost\n")
    path.parent.unlink()
    file.append(b"two\n")
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("fsync_s", [None, 10.0])
def test_closing_looks_once_more(path: Path, clock: Clock, fsync_s: float | None) -> None:
    file = AppendedFile(path, FilePolicy(look_s=1.0, fsync_s=fsync_s), clock)
    file.append(b"1\n")
    shutil.rmtree(path.parent)
    file.append(b"2\n")
    file.close()
    file.close()
    assert path.read_bytes() == b"1\n2\n"


def test_what_is_carried_over_is_bounded_and_whole_lines(path: Path, clock: Clock) -> None:
    file = AppendedFile(path, FilePolicy(look_s=1.0), clock)
    line = b"x" * (CARRIED_BYTES // 3) + b"\n"
    for _ in range(4):
        file.append(line)
    path.unlink()
    clock.now = 1.0
    file.append(b"end\n")
    file.close()
    assert path.read_bytes() == line * 2 + b"end\n"


def test_the_file_is_looked_at_no_more_often_than_asked(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = AppendedFile(path, FilePolicy(look_s=1.0), clock)
    file.append(b"one\n")
    looks: list[int] = []
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        looks.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    for tenth in range(35):
        clock.now = tenth / 10
        file.append(b"line\n")
    monkeypatch.undo()
    file.close()
    assert len(looks) == 3


def test_a_renamed_file_is_written_on(path: Path, clock: Clock) -> None:
    file = AppendedFile(path, FilePolicy(look_s=0.0), clock)
    file.append(b"one\n")
    other = path.rename(path.with_name("other.jsonl"))
    file.append(b"two\n")
    file.close()
    assert other.read_bytes() == b"one\ntwo\n"
    assert not path.exists()


@pytest.mark.parametrize(
    ("fsync_s", "expected"), [(None, (0, 0)), (0.0, (10, 10)), (2.0, (4, 5)), (100.0, (0, 1))]
)
def test_fsync_follows_the_policy(
    path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    fsync_s: float | None,
    expected: tuple[int, int],
) -> None:
    calls: list[int] = []
    file = AppendedFile(path, FilePolicy(fsync_s=fsync_s), clock)
    monkeypatch.setattr(os, "fsync", calls.append)
    for second in range(10):
        clock.now = float(second)
        file.append(b"line\n")
    before = len(calls)
    file.close()
    assert (before, len(calls)) == expected


def test_a_new_files_name_is_put_on_the_disk_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.path.samestat(os.fstat(descriptor), path.parent.stat()))

    monkeypatch.setattr(os, "fsync", fsync)
    AppendedFile(path, FilePolicy(fsync_s=1.0)).close()
    assert synced == [True]


def test_a_failed_fsync_is_told_and_the_file_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    file = AppendedFile(path, FilePolicy(fsync_s=100.0))
    file.append(b"one\n")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        file.close()
    file.close()
    assert path.read_bytes() == b"one\n"


def test_a_device_without_a_disk_needs_no_fsync() -> None:
    file = AppendedFile(Path(os.devnull), FilePolicy(fsync_s=0.0))
    file.append(b"one\n")
    file.close()


def test_the_full_device_says_so_each_time() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    file = AppendedFile(full)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            file.append(b"one\n")
    file.close()
