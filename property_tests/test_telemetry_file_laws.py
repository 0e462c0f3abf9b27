"""Laws of the telemetry file: a crash at any byte costs at most the line being written."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.events import KnownEvent
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter
from property_tests.events import EVENTS

FILES = st.lists(EVENTS, min_size=1, max_size=4)


def write(path: Path, events: list[KnownEvent]) -> None:
    with TelemetryWriter(path) as writer:
        for event in events:
            writer.write(event)


def read(path: Path) -> list[str]:
    return [repr(event) for event in TelemetryReader(path).iter_events()]


def severe_codes(path: Path) -> list[str]:
    issues = TelemetryReader(path).validate()
    return [issue.code for issue in issues if issue.code != "unknown_keys"]


@given(FILES)
def test_a_whole_file_reads_back(events: list[KnownEvent]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        write(path, events)
        assert read(path) == [repr(event) for event in events]
        assert severe_codes(path) == []


@given(FILES, st.data())
def test_a_file_cut_anywhere_gives_its_whole_lines(
    events: list[KnownEvent], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        write(path, events)
        content = path.read_bytes()
        left = content[: data.draw(st.integers(0, len(content)), label="bytes left")]
        path.write_bytes(left)
        whole = content[: len(left) + 1].count(b"\n")
        if not whole:
            with pytest.raises(TelemetryError, match=r"expected telemetry of schema"):
                read(path)
            return
        assert read(path) == [repr(event) for event in events[:whole]]
        torn = left not in (content, content[:-1]) and not left.endswith((b"\n", b"}"))
        assert severe_codes(path) in ([], ["torn_line"])
        assert not torn or severe_codes(path) == ["torn_line"]


@given(FILES, FILES, st.data())
def test_a_new_writer_loses_nothing_of_a_cut_file(
    events: list[KnownEvent], more: list[KnownEvent], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        write(path, events)
        content = path.read_bytes()
        left = content[: data.draw(st.integers(0, len(content)), label="bytes left")]
        path.write_bytes(left)
        write(path, more)
        whole = content[: len(left) + 1].count(b"\n")
        assert path.read_bytes().startswith(left)
        assert read(path) == [repr(event) for event in [*events[:whole], *more]]
        assert severe_codes(path) in ([], ["not_json"])
