"""Times whole processes, interleaved so that a drifting machine hurts all of them alike."""

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MEASURE = Path(__file__).with_name("measure_process.py")


NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Where it is set, every start compiles anew what an installed package has compiled already."""


class Timing(NamedTuple):
    """Medians over the rounds."""

    wall_s: float
    peak_memory_mib: float


def time_commands(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Timing]:
    """Runs every command once to warm the page cache, then ``rounds`` times in turn.

    Args:
        commands: Label → argument list.
        rounds: Counted runs of each.

    Returns:
        Label → medians of wall time and of peak resident memory.

    Raises:
        RuntimeError: A command does not exit with 0.
    """
    for command in commands.values():
        _run(command)
    samples: dict[str, list[Timing]] = {label: [] for label in commands}
    for _ in range(rounds):
        for label, command in commands.items():
            samples[label].append(_run(command))
    return {
        label: Timing(
            statistics.median(timing.wall_s for timing in timings),
            statistics.median(timing.peak_memory_mib for timing in timings),
        )
        for label, timings in samples.items()
    }


def _run(command: Sequence[str]) -> Timing:
    measured = subprocess.run(
        [sys.executable, "-S", "-E", str(MEASURE), *command],
        capture_output=True,
        check=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != NO_BYTECODE},
    )
    wall, peak_kib, code = measured.stdout.split()
    if int(code):
        raise RuntimeError(f"{' '.join(command)} exited with {code}")
    return Timing(float(wall), int(peak_kib) / 1024)
