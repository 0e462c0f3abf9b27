"""Following what another process writes, kills and interrupts included."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradience.core.telemetry.encode import encode_event
from tests.core.telemetry.sample_events import run_start, train_step


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


WRITER = """
import sys, time
from gradience.vnext.telemetry import TelemetryWriter
with TelemetryWriter(sys.argv[1]) as writer:
    writer.run_start({})
    for step in range(1, int(sys.argv[2])):
        writer.train_step(step, loss=1.0 / step)
        time.sleep(0.002)
"""

FOLLOWER = """
import sys
from pathlib import Path
from gradience.cli.follow import follow_run
from gradience.core.monitoring.policy import MonitorPolicy
path, timeout_s = Path(sys.argv[1]), float(sys.argv[2])
sys.exit(follow_run(path, policy=MonitorPolicy(), json=True, timeout_s=timeout_s))
"""


HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


def started(source: str, *args: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", source, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_that_writes_slowly_is_followed_to_its_end(path: Path) -> None:
    with started(FOLLOWER, path, 60) as reader:
        assert reader.stderr is not None
        assert reader.stderr.readline() == "run waiting\n"
        with started(WRITER, path, 100) as writer:
            out, _ = reader.communicate(timeout=60)
            assert writer.wait(timeout=60) == 0
    report = json.loads(out)
    assert (reader.returncode, report["run"]["outcome"]) == (0, "ok")
    assert (report["loss"]["n"], report["run"]["last_step"]) == (99, 99)


def test_a_process_that_is_killed_leaves_an_unfinished_run(path: Path) -> None:
    with started(WRITER, path, 100_000) as writer:
        while not path.exists() or path.stat().st_size < 2000:
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    with started(FOLLOWER, path, 0.3) as reader:
        out, _ = reader.communicate(timeout=60)
    report = json.loads(out)
    assert (reader.returncode, report["run"]["outcome"]) == (0, "unfinished")
    assert report["loss"]["n"] > 3


def test_ctrl_c_in_a_real_process_prints_the_report_and_exits_with_130(path: Path) -> None:
    events = (run_start(), train_step(1, loss=1.0))
    path.write_bytes(b"".join(encode_event(event) + b"\n" for event in events))
    with started(FOLLOWER, path, 60) as reader:
        assert reader.stderr is not None
        reader.stderr.readline()
        reader.send_signal(signal.SIGINT)
        out, _ = reader.communicate(timeout=60)
    assert (reader.returncode, json.loads(out)["loss"]["n"]) == (130, 1)


def test_sigterm_gives_the_terminal_its_cursor_back(path: Path) -> None:
    path.write_bytes(encode_event(run_start()) + b"\n")
    terminal, side = pty.openpty()
    shown = FOLLOWER.replace("json=True", "json=False")
    with subprocess.Popen(
        [sys.executable, "-c", shown, str(path), "60"],
        stdout=side,
        env={**os.environ, "TERM": "xterm"},
    ) as reader:
        os.close(side)
        drawn = b""
        while b"running" not in drawn:
            drawn += os.read(terminal, 4096)
        reader.send_signal(signal.SIGTERM)
        assert reader.wait(timeout=60) == 143
    while SHOW_CURSOR not in drawn:
        drawn += os.read(terminal, 4096)
    os.close(terminal)
    assert drawn.count(HIDE_CURSOR) == drawn.count(SHOW_CURSOR) == 1
