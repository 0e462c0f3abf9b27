"""Two processes, gloo on the CPU: one file, written by world rank zero."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gradience import api
from gradience.core.telemetry.events import TrainStep
from gradience.vnext.telemetry_reader import TelemetryReader

ROOT = Path(__file__).resolve().parents[1]

EXAMPLES = ROOT / "examples" / "vnext"

EXPLODING = """
import sys
from gradience.vnext.integrations.hf import GradienceCallback, GradienceCallbackConfig
from tests.shell.guard.faulty_trainer import faulty_trainer

config = GradienceCallbackConfig(
    enable_guard=True, guard_snapshot_every=2, guard_grad_threshold=1000.0, guard_patience=1
)
trainer = faulty_trainer(sys.argv[1], GradienceCallback(config), max_steps=12, max_grad_norm=1.0)
healthy = trainer.compute_loss
trainer.compute_loss = lambda *given, **named: healthy(*given, **named) * (
    1e8 if trainer.state.global_step == 8 else 1.0
)
trainer.train()
"""
"""A Trainer whose ninth step gives a huge gradient, which clipping makes look harmless."""

LEAVING_AT_ONCE = """
import os, runpy, sys

script = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
sys.stdout.flush()
os._exit(0)
"""
"""Runs a script and leaves without tearing the interpreter down. A gloo thread that frees the
tensors of the last collective meanwhile waits for the interpreter's lock, is ended instead, and
PyTorch aborts the process ("terminate called without an active exception"): one in ten runs."""

pytestmark = pytest.mark.trainer


def _in_two_processes(folder: Path, script: Path, *arguments: str) -> None:
    launched = folder / "leaving_at_once.py"
    launched.write_text(LEAVING_AT_ONCE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    done = subprocess.run(
        [
            *launcher,
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            "localhost:0",
            str(launched),
            str(script),
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("example", "steps"),
    [
        ("hf_trainer_example.py", [*range(5, 65, 5)]),
        ("accelerate_loop.py", [*range(1, 13)]),
    ],
)
def test_every_event_is_there_once(tmp_path: Path, example: str, steps: list[int]) -> None:
    _in_two_processes(tmp_path, EXAMPLES / example)
    (path,) = tmp_path.glob("*/*.jsonl")
    reader = TelemetryReader(path)
    events = list(reader.iter_events())
    assert [event.step for event in events if isinstance(event, TrainStep)] == steps
    kinds = Counter(type(event).__name__ for event in events)
    assert (kinds["RunStart"], kinds["RunEnd"]) == (1, 1)
    assert len({event.run_id for event in events}) == 1
    assert not reader.issues
    assert api.monitor(path).run.outcome.value == "ok"


def test_the_world_is_in_the_meta(tmp_path: Path) -> None:
    _in_two_processes(tmp_path, EXAMPLES / "accelerate_loop.py")
    (path,) = tmp_path.glob("*/*.jsonl")
    start = next(iter(TelemetryReader(path).iter_events("run_start")))
    assert getattr(start, "meta")["world_size"] == 2  # noqa: B009  the union has no such attribute


def test_the_guard_sees_explosions_through_clipping(tmp_path: Path) -> None:
    script = tmp_path / "exploding.py"
    script.write_text(EXPLODING)
    _in_two_processes(tmp_path, script, str(tmp_path / "out"))
    report = api.monitor(tmp_path / "out" / "run.jsonl")
    found = {alert.code: alert for alert in report.alerts}
    assert found["guard_intervention"].first_step == 9
