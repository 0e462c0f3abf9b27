"""The audit of large adapters against its plain floor: whole processes, in turn."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.private_memory import peak_private_mib
from benchmarks.synthetic_adapter import (
    LLAMA3_8B,
    LLAMA3_70B,
    LlamaShape,
    write_llama_adapter,
)
from benchmarks.whole_process import Timing, time_commands

RANK = 64

FLOOR = Path(__file__).with_name("audit_floor.py")

READ = "import sys\nwith open(sys.argv[1], 'rb', 0) as f:\n  while f.read(1 << 24): pass"
"""A program that reads a file and does nothing with it: the true floor."""

SHAPES = {"Llama-3-8B": (LLAMA3_8B, 7), "Llama-3-70B": (LLAMA3_70B, 3)}
"""Model → its shape and how many rounds are timed."""


def run() -> None:
    """Times and prints every model's audit."""
    for name, (shape, rounds) in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            _print_table(name, *_measure(Path(folder), shape, rounds))


def _measure(folder: Path, shape: LlamaShape, rounds: int) -> tuple[dict[str, Timing], float, int]:
    """Timings by label, the audit's peak private memory, and the size of the weights."""
    adapter = write_llama_adapter(folder / "adapter", shape, RANK)
    weights = adapter / "adapter_model.safetensors"
    audit = [sys.executable, "-m", "gradience", "audit", "--peft-dir", str(adapter), "--json"]
    commands = {
        "read the bytes": [sys.executable, "-S", "-c", READ, str(weights)],
        "plain floor (NumPy)": [sys.executable, str(FLOOR), str(weights)],
        "gradience audit": audit,
    }
    timings = time_commands(commands, rounds)
    private = peak_private_mib(audit)
    return timings, private.peak_mib, weights.stat().st_size


def _print_table(name: str, timings: dict[str, Timing], private_mib: float, size: int) -> None:
    table = Table(title=f"{name}, r={RANK}, bfloat16, {size / 1e6:,.0f} MB", title_justify="left")
    for column in ("whole process", "wall", "x floor", "x read", "private peak"):
        table.add_column(column, justify="left" if column == "whole process" else "right")
    floor, read = timings["plain floor (NumPy)"].wall_s, timings["read the bytes"].wall_s
    for label, timing in timings.items():
        table.add_row(
            label,
            f"{timing.wall_s:.2f} s",
            f"{timing.wall_s / floor:.2f}",
            f"{timing.wall_s / read:.1f}",
            f"{private_mib:.0f} MiB" if label == "gradience audit" else "",
        )
    Console().print(table)
