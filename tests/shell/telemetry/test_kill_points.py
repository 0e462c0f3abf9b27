"""``kill -9`` at a few random moments; ``python -m benchmarks kill_points`` tries a thousand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.kill_points import KillPoint, read_back

from gradience.vnext.telemetry import TelemetryWriter

ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import json
from benchmarks.kill_points import kill_points
print(json.dumps(kill_points(20)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")
def test_nothing_that_was_written_is_lost() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    points = [KillPoint(*values) for values in json.loads(done.stdout)]
    assert len(points) == 20
    assert sum(point.reported for point in points) > 100
    assert [point.lost for point in points] == [0] * 20
    assert max(point.torn for point in points) <= 1
    assert not any(point.unreadable for point in points)


@pytest.mark.parametrize(
    ("cut", "reported", "lost", "torn"), [(0, 5, 0, 0), (10, 4, 0, 1), (10, 5, 1, 1)]
)
def test_the_count_sees_what_is_lost_or_torn(
    tmp_path: Path, cut: int, reported: int, lost: int, torn: int
) -> None:
    path = tmp_path / "run.jsonl"
    with TelemetryWriter(path) as writer:
        for step in range(5):
            writer.train_step(step)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - cut])
    point = read_back(path, reported)
    assert (point.lost, point.torn, point.unreadable) == (lost, torn, False)


def test_the_count_sees_a_gap_and_a_file_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with TelemetryWriter(path) as writer:
        writer.train_step(0)
        writer.train_step(2)
    assert read_back(path, 2).unreadable
    path.write_bytes(b"garbage\n")
    assert read_back(path, 1).lost == 1
