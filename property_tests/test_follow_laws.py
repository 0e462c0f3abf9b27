"""Laws of following: however a file grows, shrinks or is replaced, it is read as it then is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.errors import TelemetryError
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import AnyEvent
from gradience.shell.telemetry import telemetry_tail
from gradience.shell.telemetry.follow import LogFollower
from gradience.shell.telemetry.run_log import open_run_log
from property_tests.events import STREAMS
from property_tests.test_signal_laws import CRASHED_STREAMS

ODD_LINES = st.sampled_from(
    [b"\n", b"  \n", b"no json\n", b"[1]\n", b'{"schema": "other"}\n', b'{"torn": ', b"\xff\xfe\n"]
)


def content(events: list[AnyEvent], odd: list[tuple[int, bytes]]) -> bytes:
    """A file of these events with odd lines between them."""
    lines = [encode_event(event) + b"\n" for event in events]
    for place, line in odd:
        lines.insert(min(place, len(lines)), line)
    return b"".join(lines)


FILES = st.builds(
    content,
    STREAMS | CRASHED_STREAMS.map(lambda stream: list(stream.events)),
    st.lists(st.tuples(st.integers(0, 20), ODD_LINES), max_size=3),
)


def as_read(path: Path) -> str:
    """What a finished file says; empty where it says nothing."""
    try:
        log = open_run_log(path)
        return repr((run_signals(log.iter_batches()), log.issues))
    except TelemetryError:
        return ""


def as_followed(follower: LogFollower) -> str:
    found = follower.findings(whole=True)
    return repr(tuple(found)) if found is not None else ""


@contextmanager
def followed() -> Iterator[tuple[Path, LogFollower]]:
    """A follower of a file that is not there yet; small batches, and no wait between readings."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry_tail, "FOLD_EVENTS", 3)
        path = Path(folder) / "run.jsonl"
        yield path, LogFollower(path, clock=lambda: 0.0, read_bytes=300)


def catch_up(follower: LogFollower) -> None:
    while follower.look().has_more:
        pass


@given(FILES, st.data())
def test_however_it_grows_it_is_read_as_it_is(file: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(file)), max_size=8), label="cuts"))
    with followed() as (path, follower):
        for start, stop in zip([0, *cuts], [*cuts, len(file)], strict=True):
            with path.open("ab") as opened:
                opened.write(file[start:stop])
            catch_up(follower)
        assert as_followed(follower) == as_read(path)


STEPS = st.sampled_from(["append", "truncate", "rewrite", "replace", "remove", "empty", "look"])


def act(path: Path, step: str, file: bytes, size: int) -> None:
    """Does to the file what writers, rotations and people do."""
    if step == "append":
        with path.open("ab") as opened:
            opened.write(file[:size])
    elif step == "truncate" and path.exists():
        path.write_bytes(path.read_bytes()[:size])
    elif step == "rewrite":
        path.write_bytes(file[:size])
    elif step == "replace":
        other = path.with_suffix(".new")
        other.write_bytes(file)
        other.replace(path)
    elif step == "remove":
        path.unlink(missing_ok=True)
    elif step == "empty":
        path.write_bytes(b"")


@given(st.lists(st.tuples(STEPS, FILES, st.integers(0, 2000), st.booleans()), max_size=5), FILES)
def test_whatever_becomes_of_it_it_is_read_as_it_is(
    steps: list[tuple[str, bytes, int, bool]], last: bytes
) -> None:
    with followed() as (path, follower):
        for step, file, size, look in steps:
            act(path, step, file, size)
            if look:
                follower.look()
        act(path, "append", last, len(last))
        catch_up(follower)
        assert as_followed(follower) == as_read(path)
