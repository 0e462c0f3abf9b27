"""``kill -9`` at random moments of a process that records as fast as it can."""

import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from gradience.core.errors import TelemetryError
from gradience.core.telemetry.events import TrainStep
from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.telemetry_reader import TelemetryReader

POINTS = 1000

MAX_DELAY_S = 0.02
"""A child is killed after a time drawn evenly from 0 to this: up to some thousand events."""

WARNINGS = ("warning", "error", "critical")


class KillPoint(NamedTuple):
    """What one killed child has left."""

    reported: int
    """Writes that had returned in the child."""
    read: int
    """Events that are in the file, in order and without a gap."""
    torn: int
    """Lines that hold no event."""
    unreadable: bool
    """The reader refuses a file with events, or misses one that the next writer appends."""

    @property
    def lost(self) -> int:
        """Events whose write had returned and that are not in the file."""
        return max(0, self.reported - self.read)


def run(points: int = POINTS) -> None:
    """Kills, reads what is left, and prints the table."""
    begun = time.perf_counter()
    found = kill_points(points)
    wall = time.perf_counter() - begun
    table = Table(box=None, pad_edge=False, title=f"{points} kill -9 points, {wall:.0f} s")
    table.add_column("")
    for column in ("found", "expected"):
        table.add_column(column, justify="right")
    table.add_row("events written", f"{sum(point.reported for point in found):,}", "")
    table.add_row("events lost", str(sum(point.lost for point in found)), "0")
    table.add_row("torn lines, most in a file", str(max(point.torn for point in found)), "<= 1")
    table.add_row("torn lines, in all", str(sum(point.torn for point in found)), "")
    table.add_row("files unreadable", str(sum(point.unreadable for point in found)), "0")
    Console().print(table)


def kill_points(points: int, seed: int = 0) -> list[KillPoint]:
    """Kills as many children, each after a random time, and reads the file of each."""
    delays = random.Random(seed)  # noqa: S311  moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        return [
            kill_one(Path(folder) / f"{number}.jsonl", delays.uniform(0.0, MAX_DELAY_S))
            for number in range(points)
        ]


def kill_one(path: Path, delay_s: float) -> KillPoint:
    """Starts a child that writes to ``path``, kills it and reads what it has left."""
    with mmap.mmap(-1, 8) as counter:
        child = os.fork()
        if not child:
            try:
                write_for_ever(path, counter)
            finally:
                os._exit(1)
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        (reported,) = struct.unpack("q", counter[:])
    return read_back(path, reported)


def write_for_ever(path: Path, counter: mmap.mmap) -> None:
    """Writes steps 0, 1, 2 …; the shared counter outlives the process."""
    writer = TelemetryWriter(path, run_id="killed")
    step = 0
    while True:
        writer.train_step(step, loss=1.0 / (step + 1), lr=1e-4, grad_norm=0.5, note="x" * 200)
        step += 1
        struct.pack_into("q", counter, 0, step)


def read_back(path: Path, reported: int) -> KillPoint:
    """Reads the file as it was left, lets the next writer append to it, and reads it again."""
    steps, torn = _steps(path)
    in_order = steps == list(range(len(steps)))
    with TelemetryWriter(path, run_id="next") as writer:
        writer.train_step(len(steps))
    after, _ = _steps(path)
    unreadable = not in_order or after != list(range(len(steps) + 1))
    return KillPoint(reported, len(steps), torn, unreadable)


def _steps(path: Path) -> tuple[list[int | None], int]:
    """The steps in a file and the number of lines without an event; none of what is refused."""
    if not path.exists() or not path.stat().st_size:
        return [], 0
    reader = TelemetryReader(path)
    try:
        steps = [event.step for event in reader.iter_events() if isinstance(event, TrainStep)]
    except TelemetryError:
        return [], path.read_bytes().count(b"\n") + 1
    return steps, sum(issue.severity.value in WARNINGS for issue in reader.issues)


if __name__ == "__main__":
    run(*map(int, sys.argv[1:2]))
