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

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "vnext"

pytestmark = pytest.mark.trainer


def _in_two_processes(folder: Path, example: str) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    done = subprocess.run(
        [
            *launcher,
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            "localhost:0",
            str(EXAMPLES / example),
        ],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
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
    _in_two_processes(tmp_path, example)
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
    _in_two_processes(tmp_path, "accelerate_loop.py")
    (path,) = tmp_path.glob("*/*.jsonl")
    start = next(iter(TelemetryReader(path).iter_events("run_start")))
    assert getattr(start, "meta")["world_size"] == 2  # noqa: B009  the union has no such attribute
