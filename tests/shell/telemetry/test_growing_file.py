"""A file that grows, shrinks, goes and comes back."""

import os
from pathlib import Path

import pytest

from gradience.shell.telemetry.growing_file import FileChange, GrowingFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def looked(file: GrowingFile) -> tuple[FileChange, bytes]:
    found = file.look()
    return found.change, found.data


def test_only_what_was_appended_is_read(path: Path) -> None:
    file = GrowingFile(path)
    append(path, b"one\n")
    assert looked(file) == (FileChange.GREW, b"one\n")
    assert looked(file) == (FileChange.UNCHANGED, b"")
    append(path, b"tw")
    assert looked(file) == (FileChange.GREW, b"tw")


def test_an_absent_file_is_waited_for(path: Path) -> None:
    file = GrowingFile(path / "in" / "a" / "folder")
    assert looked(file) == (FileChange.ABSENT, b"")
    path = file.path
    path.parent.mkdir(parents=True)
    append(path, b"")
    assert looked(file) == (FileChange.UNCHANGED, b"")
    append(path, b"one\n")
    assert looked(file) == (FileChange.GREW, b"one\n")


def test_a_long_file_is_read_in_pieces(path: Path) -> None:
    append(path, b"abcdefg")
    file = GrowingFile(path, read_bytes=3)
    looks = [file.look() for _ in range(4)]
    assert [look.data for look in looks] == [b"abc", b"def", b"g", b""]
    assert [look.has_more for look in looks] == [True, True, False, False]


def test_a_truncated_file_begins_anew(path: Path) -> None:
    append(path, b"one\ntwo\n")
    file = GrowingFile(path)
    file.look()
    path.write_bytes(b"one\n")
    found = file.look()
    assert (found.change, found.data) == (FileChange.RESTARTED, b"one\n")
    assert found.reason == "truncated from 8 to 4 bytes"


def test_a_file_emptied_begins_anew(path: Path) -> None:
    append(path, b"one\n")
    file = GrowingFile(path)
    file.look()
    path.write_bytes(b"")
    assert looked(file) == (FileChange.RESTARTED, b"")
    append(path, b"two\n")
    assert looked(file) == (FileChange.GREW, b"two\n")


@pytest.mark.parametrize("content", [b"ONE\ntwo\n", b"ONE\n", b"one\nTWO\nthree\n"])
def test_a_file_written_anew_in_place_begins_anew(path: Path, content: bytes) -> None:
    append(path, b"one\n" if len(content) == 4 else b"one\ntwo\n")
    file = GrowingFile(path)
    file.look()
    os.utime(path, ns=(1, 1))
    file.look()
    path.write_bytes(content)
    found = file.look()
    assert (found.change, found.data, found.reason) == (
        FileChange.RESTARTED,
        content,
        "written anew",
    )


def test_a_rotated_file_begins_anew(path: Path) -> None:
    append(path, b"one\n")
    file = GrowingFile(path)
    file.look()
    path.rename(path.with_suffix(".1"))
    assert looked(file) == (FileChange.ABSENT, b"")
    append(path, b"two\nthree\n")
    found = file.look()
    assert (found.change, found.data) == (FileChange.RESTARTED, b"two\nthree\n")
    assert found.reason == "replaced by another file"


def test_a_file_moved_away_and_back_goes_on(path: Path) -> None:
    append(path, b"one\n")
    file = GrowingFile(path)
    file.look()
    path.rename(path.with_suffix(".1"))
    file.look()
    append(path.with_suffix(".1"), b"two\n")
    path.with_suffix(".1").rename(path)
    assert looked(file) == (FileChange.GREW, b"two\n")


def test_a_longer_copy_of_the_file_goes_on(path: Path) -> None:
    append(path, b"one\n")
    file = GrowingFile(path)
    file.look()
    copy = path.with_suffix(".part")
    copy.write_bytes(b"one\ntwo\n")
    copy.replace(path)
    assert looked(file) == (FileChange.GREW, b"two\n")


def test_what_cannot_be_read_is_said_and_tried_again(path: Path) -> None:
    path.mkdir()
    file = GrowingFile(path)
    found = file.look()
    assert (found.change, found.reason) == (FileChange.UNREADABLE, "Is a directory")
    path.rmdir()
    append(path, b"one\n")
    assert looked(file) == (FileChange.GREW, b"one\n")


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    assert GrowingFile(path).look().change is FileChange.UNREADABLE


def test_the_time_of_writing_is_told(path: Path) -> None:
    append(path, b"one\n")
    os.utime(path, (7, 7))
    assert GrowingFile(path).look().modified_s == 7.0


def test_a_shorter_file_that_took_the_place_is_told_from_a_truncated_one(path: Path) -> None:
    append(path, b"one\ntwo\n")
    file = GrowingFile(path)
    file.look()
    path.rename(path.with_suffix(".old"))
    append(path, b"new\n")
    found = file.look()
    assert (found.change, found.data) == (FileChange.RESTARTED, b"new\n")
    assert found.reason == "replaced by another file"
    path.write_bytes(b"")
    assert file.look().reason == "truncated from 4 to 0 bytes"
