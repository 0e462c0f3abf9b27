"""Cold start of each command, against a bare interpreter, NumPy and torch in the same run."""

import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.numpy import save_file

from benchmarks.whole_process import Timing, time_commands
from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.types import ConfigSnapshot

ROUNDS = 7

FLOOR, NUMPY, TORCH = "python -c pass", "python -c 'import numpy'", "python -c 'import torch'"

ADAPTER_CONFIG = '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}'


def run() -> None:
    """Times the commands and prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        timings = time_commands(_commands(Path(folder)), ROUNDS)
    _print_table(timings)


def _commands(folder: Path) -> dict[str, list[str]]:
    python = sys.executable
    gradience = [python, "-m", "gradience"]
    run, adapter = _write_run(folder), _write_adapter(folder)
    commands = {
        FLOOR: [python, "-c", "pass"],
        NUMPY: [python, "-c", "import numpy"],
        "gradience --help": [*gradience, "--help"],
        "gradience check": [*gradience, "check", str(adapter / "adapter_config.json")],
        "gradience monitor (1,000 steps)": [*gradience, "monitor", str(run)],
        "gradience audit (3 MB, r 8)": [*gradience, "audit", "--peft-dir", str(adapter)],
    }
    if importlib.util.find_spec("torch"):
        commands[TORCH] = [python, "-c", "import torch"]
    return commands


def _write_run(folder: Path) -> Path:
    path = folder / "run.jsonl"
    with TelemetryWriter(path) as writer:
        writer.run_start(ConfigSnapshot())
        for step in range(1000):
            writer.train_step(step, loss=2.0 - step / 1000, lr=1e-4, grad_norm=0.5)
        writer.eval(1000, split="eval", metrics={"loss": 1.1})
    return path


def _write_adapter(folder: Path) -> Path:
    """48 modules of 1024 x 1024 in float32: 3 MB."""
    rng = np.random.default_rng(0)
    tensors = {}
    for layer in range(48):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        tensors[f"{name}.lora_A.weight"] = rng.standard_normal((8, 1024), dtype=np.float32)
        tensors[f"{name}.lora_B.weight"] = rng.standard_normal((1024, 8), dtype=np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(ADAPTER_CONFIG)
    return folder


def _print_table(timings: dict[str, Timing]) -> None:
    table = Table(box=None, pad_edge=False, title="cold start, medians of whole processes")
    table.add_column("command")
    for column in ("wall", "peak memory", "x pass", "x numpy", "x torch"):
        table.add_column(column, justify="right", no_wrap=True)
    for label, timing in timings.items():
        ratios = [
            f"{timing.wall_s / timings[floor].wall_s:.2f}" if floor in timings else "-"
            for floor in (FLOOR, NUMPY, TORCH)
        ]
        memory = f"{timing.peak_memory_mib:.0f} MiB"
        table.add_row(label, f"{1000 * timing.wall_s:.0f} ms", memory, *ratios)
    Console().print(table)
