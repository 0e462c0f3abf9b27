"""Runs a command and samples its private memory.

Private anonymous pages only (RssAnon): files that are mapped and read count towards the peak
resident size, but the kernel takes their pages back when it needs them.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SAMPLE_S = 0.005


class PrivateMemory(NamedTuple):
    """Of one run."""

    wall_s: float
    peak_mib: float


def peak_private_mib(command: Sequence[str]) -> PrivateMemory:
    """Wall time and peak private memory of a command, its children not counted (Linux).

    A peak shorter than the 5 ms between samples may be missed.

    Raises:
        RuntimeError: The command does not exit with 0; its standard error is quoted.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    peak_kib = 0
    while process.poll() is None:
        peak_kib = max(peak_kib, _private_kib(process.pid))
        time.sleep(SAMPLE_S)
    wall = time.perf_counter() - begun
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}: {errors}")
    return PrivateMemory(wall, peak_kib / 1024)


def _private_kib(pid: int) -> int:
    """RssAnon now; 0 once the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields.get("RssAnon", "0 kB").split()[0])
