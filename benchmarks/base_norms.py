"""Norms of base weights against torch's singular values, and an audit's memory with a base."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.private_memory import PrivateMemory, peak_private_mib
from benchmarks.synthetic_adapter import LlamaShape, write_llama_adapter
from benchmarks.synthetic_checkpoint import write_llama_checkpoint
from gradience.core.dominance.base_norms import weight_norms
from gradience.core.dominance.ratios import BaseNorms

Singles = NDArray[np.float32]

ROUNDS = 7

CHECKPOINT = LlamaShape(layers=5, hidden=4096, intermediate=14336, key_value=1024)
"""Five layers of Llama-3 8B: 2.2 GB in bfloat16."""

LARGEST_MIB = 4 * CHECKPOINT.hidden * CHECKPOINT.intermediate / 2**20
"""The largest weight in float32."""


class Timing(NamedTuple):
    """Of one matrix; the peer is None without torch."""

    path_s: float
    floor_s: float
    peer_s: float | None
    error: float | None


def run() -> None:
    """Times the norms, measures the audit and prints both tables."""
    _print_norms({label: _timing(weight) for label, weight in _weights()})
    with tempfile.TemporaryDirectory() as folder:
        adapter = write_llama_adapter(Path(folder) / "adapter", CHECKPOINT, r=8)
        base = write_llama_checkpoint(Path(folder) / "base", CHECKPOINT)
        command = [sys.executable, "-m", "gradience", "audit", str(adapter)]
        _print_memory(peak_private_mib([*command, "--base-model", str(base)]))


def _weights() -> Iterator[tuple[str, Singles]]:
    gaussian = np.random.default_rng(0).standard_normal((4096, 4096), dtype=np.float32)
    yield "4096 x 4096, Gaussian", gaussian
    yield "4096 x 4096, outliers", gaussian + _outliers(4096, 20)
    yield "14336 x 4096, Gaussian", np.tile(gaussian, (4, 1))[:14336] + _noise(14336, 4096)


def _noise(m: int, n: int) -> Singles:
    return np.random.default_rng(1).standard_normal((m, n), dtype=np.float32)


def _outliers(n: int, count: int) -> Singles:
    """Directions whose values fall from ten times a Gaussian matrix's norm as a power."""
    values = 20 * np.sqrt(n) * np.arange(1, count + 1) ** -0.8
    left, _ = np.linalg.qr(_noise(n, count))
    right, _ = np.linalg.qr(_noise(n, count)[::-1])
    product: Singles = ((left * values) @ right.T).astype(np.float32)
    return product


def _timing(weight: Singles) -> Timing:
    start = np.random.default_rng(2).standard_normal(weight.shape[1])
    vector = start.astype(np.float32)

    def path() -> object:
        return weight_norms(weight, start, "w")

    path_s, floor_s = _interleaved(path, lambda: weight @ vector)
    try:
        import torch
    except ImportError:
        return Timing(path_s, floor_s, None, None)
    begun = time.perf_counter()
    largest = float(torch.linalg.svdvals(torch.from_numpy(weight))[0])
    peer_s = time.perf_counter() - begun
    found = path()
    if not isinstance(found, BaseNorms):
        raise TypeError(f"expected norms, found: {found}")
    return Timing(path_s, floor_s, peer_s, abs(found.sigma_max / largest - 1))


def _interleaved(path: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float]:
    samples: list[tuple[float, float]] = []
    for _ in range(ROUNDS + 1):
        begun = time.perf_counter()
        path()
        between = time.perf_counter()
        floor()
        samples.append((between - begun, time.perf_counter() - between))
    paths, floors = zip(*samples[1:], strict=True)
    return statistics.median(paths), statistics.median(floors)


def _print_norms(timings: dict[str, Timing]) -> None:
    title = "‖W‖₂ and ‖W‖_F of a base weight, medians; x pass: one product W·v"
    table = Table(box=None, pad_edge=False, title=title)
    table.add_column("weight")
    for column in ("wall", "x pass", "torch svdvals", "times faster", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    for label, timing in timings.items():
        peer = ["-", "-", "-"]
        if timing.peer_s is not None:
            ratio = timing.peer_s / timing.path_s
            peer = [f"{timing.peer_s:.1f} s", f"{ratio:.0f}", f"{timing.error:.0e}"]
        passes = f"{timing.path_s / timing.floor_s:.0f}"
        table.add_row(label, f"{1000 * timing.path_s:.0f} ms", passes, *peer)
    Console().print(table)


def _print_memory(memory: PrivateMemory) -> None:
    table = Table(box=None, pad_edge=False, title="audit with a sharded base model of 2.2 GB")
    for column in ("wall", "peak private memory", "x largest weight in float32"):
        table.add_column(column, justify="right", no_wrap=True)
    ratio = f"{memory.peak_mib / LARGEST_MIB:.2f}"
    table.add_row(f"{memory.wall_s:.0f} s", f"{memory.peak_mib:.0f} MiB", ratio)
    Console().print(table)


if __name__ == "__main__":
    run()
