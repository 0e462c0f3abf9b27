"""``monitor`` of long files: time against a bare decode of the same lines, and private memory.

``python -m benchmarks.monitoring [COUNT]`` watches the memory over a file of up to COUNT events
(4,000,000 by default: 0.9 GB in the temporary folder).
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.private_memory import peak_private_mib
from benchmarks.synthetic_run import write_run
from gradience.api import monitor
from gradience.core.signals.pipeline import run_signals
from gradience.core.telemetry.events import KnownEvent
from gradience.shell.telemetry.reader import TelemetryReader

ROUNDS = 5
PLAIN_STEPS = 1_000_000
FURTHER_STEPS = 200_000
FURTHER_KEYS = 10
MEMORY_STEPS = (10_000, 1_000_000, 4_000_000)


class Part(NamedTuple):
    """One way through a file."""

    name: str
    run: Callable[[Path], object]


def decode_each(path: Path) -> None:
    """The floor: a typed decode of every line, and nothing else."""
    decoder = msgspec.json.Decoder(KnownEvent)
    with path.open("rb") as file:
        for line in file:
            try:
                decoder.decode(line)
            except msgspec.ValidationError:  # a key that the struct does not know
                continue


def parse_each(path: Path) -> None:
    """Every line as plain dictionaries."""
    decoder = msgspec.json.Decoder()
    with path.open("rb") as file:
        for line in file:
            decoder.decode(line)


def read_batches(path: Path) -> None:
    """The reader alone: columns, issues."""
    for _ in TelemetryReader(path).iter_batches():
        pass


def read_signals(path: Path) -> None:
    """The reader and the analyzers."""
    run_signals(TelemetryReader(path).iter_batches())


PARTS = (
    Part("bare typed decode of each line", decode_each),
    Part("bare parse of each line", parse_each),
    Part("iter_batches", read_batches),
    Part("and run_signals", read_signals),
    Part("api.monitor", monitor),
)
"""The first one is the floor."""


def run(most_events: int = MEMORY_STEPS[-1]) -> None:
    """Measures and prints the tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        write_run(path, PLAIN_STEPS)
        _print_times("hot fields alone", PLAIN_STEPS, _times(path))
        write_run(path, FURTHER_STEPS, FURTHER_KEYS)
        _print_times(f"{FURTHER_KEYS} further numbers each", FURTHER_STEPS, _times(path))
        _print_memory(path, [count for count in MEMORY_STEPS if count <= most_events])


def _times(path: Path) -> dict[str, list[float]]:
    """CPU seconds of every part in every round, the parts in turn."""
    seconds: dict[str, list[float]] = {part.name: [] for part in PARTS}
    for _ in range(ROUNDS):
        for part in PARTS:
            begun = time.process_time()
            part.run(path)
            seconds[part.name].append(time.process_time() - begun)
    return seconds


def _print_times(what: str, steps: int, seconds: Mapping[str, list[float]]) -> None:
    table = Table(box=None, pad_edge=False, title=f"{steps:,} training steps, {what}: CPU time")
    table.add_column("part")
    for column in ("median", "per step", "x bare, median of the rounds"):
        table.add_column(column, justify="right", no_wrap=True)
    floor = seconds[PARTS[0].name]
    for name, rounds in seconds.items():
        median = statistics.median(rounds)
        ratio = statistics.median(mine / bare for mine, bare in zip(rounds, floor, strict=True))
        table.add_row(name, f"{median:.3f} s", f"{1e9 * median / steps:.0f} ns", f"{ratio:.2f}")
    Console().print(table)


def _print_memory(path: Path, counts: list[int]) -> None:
    table = Table(box=None, pad_edge=False, title="private memory of gradience monitor --json")
    for column in ("events", "wall", "peak RssAnon"):
        table.add_column(column, justify="right", no_wrap=True)
    for count in counts:
        write_run(path, count)
        found = peak_private_mib(
            [sys.executable, "-m", "gradience", "monitor", str(path), "--json"]
        )
        table.add_row(f"{count:,}", f"{found.wall_s:.1f} s", f"{found.peak_mib:.1f} MiB")
    Console().print(table)


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
