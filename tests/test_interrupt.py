"""Ctrl-C during an audit: exit 130, and nothing half-written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.synthetic_adapter import LlamaShape, write_llama_adapter
from benchmarks.synthetic_checkpoint import write_llama_checkpoint

from gradience.core.dominance.cached_norms import decode_norms
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter

SHAPE = LlamaShape(layers=6, hidden=768, intermediate=1536, key_value=256)
MODULES = 7 * SHAPE.layers
STEPS = 2 * MODULES
"""Base weights first, then modules."""

INTERRUPTED = 130

_CHILD = """
import sys
from gradience.cli import audit
from gradience.cli.app import main

original = audit.module_progress

class Told:
    def __init__(self):
        self.inner = original()
    def __enter__(self):
        callback = self.inner.__enter__()
        def on_module(done, total):
            print(done, total, file=sys.stderr, flush=True)
            callback(done, total)
        return on_module
    def __exit__(self, *error):
        return self.inner.__exit__(*error)

audit.module_progress = Told
main()
"""
"""The command, telling on stderr how far it is."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupt")
    write_llama_adapter(folder / "adapter", SHAPE, r=64)
    write_llama_checkpoint(folder / "base", SHAPE)
    return folder


def _started(files: Path, work: Path) -> subprocess.Popen[str]:
    """An audit in a process of its own."""
    arguments = [
        "audit", files / "adapter", "--base-model", files / "base",
        "--base-norms-cache", work / "norms.json", "--append", work / "run.jsonl",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(work / "tmp"), "OMP_NUM_THREADS": "1"},
    )


def _interrupted_after(steps: int, files: Path, work: Path) -> subprocess.Popen[str]:
    """An audit that was sent SIGINT once so many steps were done."""
    process = _started(files, work)
    assert process.stderr is not None
    for _ in range(steps):
        assert process.stderr.readline().split()[1:] == [str(STEPS)]
    process.send_signal(signal.SIGINT)
    return process


@pytest.mark.parametrize("steps", [1, MODULES // 2, MODULES, MODULES + 5])
def test_an_interrupted_audit_leaves_nothing_half_written(
    files: Path, tmp_path: Path, steps: int
) -> None:
    (tmp_path / "tmp").mkdir()
    run = tmp_path / "run.jsonl"
    with TelemetryWriter(run, run_id="the-run") as writer:
        writer.train_step(1, loss=1.0)
    before = run.read_bytes()
    process = _interrupted_after(steps, files, tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, err
    assert out == ""
    assert "Traceback" not in err
    assert run.read_bytes() == before
    assert {entry.name for entry in tmp_path.iterdir()} <= {"tmp", "run.jsonl", "norms.json"}
    assert list((tmp_path / "tmp").iterdir()) == []
    cache = tmp_path / "norms.json"
    if cache.exists():
        assert decode_norms(cache.read_bytes()).problem is None
        assert steps >= MODULES


def test_an_audit_left_alone_writes_both(files: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    process = _started(files, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert decode_norms((tmp_path / "norms.json").read_bytes()).problem is None
    assert len(list(TelemetryReader(tmp_path / "run.jsonl").iter_events())) == 1
