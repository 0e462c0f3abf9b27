"""The recorder: an event against its floor, the callback per step, memory over a long run.

``python -m benchmarks.telemetry [COUNT]`` watches the memory of a run of COUNT events
(10,000,000 write 2 GB to the temporary folder); 1,000,000 by default.
"""

import os
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

from benchmarks import telemetry_writing
from benchmarks.private_memory import peak_private_mib
from gradience.vnext.telemetry import TelemetryWriter

ROUNDS = 31
CALLS = 2000
MEMORY_EVENTS = 1_000_000
FEW_EVENTS = 1000

HOT: Mapping[str, object] = {"loss": 1.23456, "lr": 9.87e-5, "grad_norm": 0.5678, "epoch": 0.1234}
RECORDS: Mapping[str, Mapping[str, object]] = {
    "loss, lr, grad_norm, epoch": HOT,
    "and three numbers": {**HOT, "entropy": 1.25, "mean_token_accuracy": 0.5, "num_tokens": 4096},
    "and a short text": {**HOT, "phase": "warmup"},
    "and a text of 200 characters": {**HOT, "note": "to be or not to be " * 10 + "0123456789"},
}
"""What is logged, by what it is called in the table."""


class Comparison(NamedTuple):
    """Microseconds per call, and the median ratio of the rounds."""

    floor_us: float
    ours_us: float
    ratio: float


def run(memory_events: int = MEMORY_EVENTS) -> None:
    """Measures and prints the tables."""
    with tempfile.TemporaryDirectory() as folder:
        _print_events({name: _event(Path(folder), values) for name, values in RECORDS.items()})
        _print_callback(Path(folder))
        _print_memory(Path(folder), memory_events)


def _event(folder: Path, values: Mapping[str, object]) -> Comparison:
    """``train_step`` against a bare msgspec encode of the same record, a dict, and ``os.write``.

    The floor takes a record that is ready: no clock, no envelope, no redaction.
    """
    path = folder / "run.jsonl"
    with TelemetryWriter(path) as writer:
        writer.train_step(1000, **values)  # type: ignore[arg-type]  # names of many types
        record = msgspec.json.decode(path.read_bytes().splitlines()[-1])
        descriptor = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

        def floor() -> None:
            os.write(descriptor, msgspec.json.encode(record) + b"\n")

        def ours() -> None:
            writer.train_step(1000, **values)  # type: ignore[arg-type]  # names of many types

        found = _compare(floor, ours)
        os.close(descriptor)
    return found


def _compare(floor: Callable[[], None], ours: Callable[[], None]) -> Comparison:
    """Both in turns, so that whatever else the machine does meets both."""
    pairs = [(_seconds(floor), _seconds(ours)) for _ in range(ROUNDS)]
    return Comparison(
        1e6 * statistics.median(pair[0] for pair in pairs),
        1e6 * statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[1] / pair[0] for pair in pairs),
    )


def _seconds(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - begun) / CALLS


def _print_events(found: Mapping[str, Comparison]) -> None:
    table = Table(box=None, pad_edge=False, title="train_step, redaction included")
    table.add_column("record")
    for column in ("bare encode + os.write", "train_step", "x bare"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in found.items():
        table.add_row(name, f"{row.floor_us:.2f} µs", f"{row.ours_us:.2f} µs", f"{row.ratio:.2f}")
    Console().print(table)


def _print_callback(folder: Path) -> None:
    try:
        from benchmarks.trainer_hooks import logging_step
    except ImportError:
        Console().print("callback per step: transformers is not installed")
        return
    from transformers import TrainerCallback

    from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig

    config = GradienceCallbackConfig(watch_gradients=False)
    rows = {}
    for name, log in (("that logs", True), ("that logs nothing", False)):
        empty = logging_step(TrainerCallback(), folder, log=log)
        ours = logging_step(GradienceCallback(config), folder / name, log=log)
        rows[name] = _compare(empty, ours)
    table = Table(box=None, pad_edge=False, title="callback per step, gradients not inspected")
    table.add_column("step")
    for column in ("empty callback", "ours", "overhead"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in rows.items():
        overhead = row.ours_us - row.floor_us
        table.add_row(name, *(f"{us:.1f} µs" for us in (row.floor_us, row.ours_us, overhead)))
    Console().print(table)


def _print_memory(folder: Path, events: int) -> None:
    table = Table(box=None, pad_edge=False, title="private memory of a process that logs")
    for column in ("events", "wall", "peak RssAnon", "growth per event"):
        table.add_column(column, justify="right", no_wrap=True)
    least = None
    for count in (FEW_EVENTS, events):
        path = folder / f"{count}.jsonl"
        program = telemetry_writing.__file__
        found = peak_private_mib([sys.executable, program, str(path), str(count)])
        path.unlink()
        least = found.peak_mib if least is None else least
        growth = (found.peak_mib - least) * 2**20 / count
        table.add_row(
            f"{count:,}", f"{found.wall_s:.1f} s", f"{found.peak_mib:.1f} MiB", f"{growth:.3f} B"
        )
    Console().print(table)


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
