"""A converted file is there whole or not at all."""

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
