"""The commands start without torch and transformers; each runs in an interpreter of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_audit import write_adapter
from tests.shared_data import DATA

HEAVY = ("torch", "transformers", "peft", "accelerate", "datasets", "pandas", "sklearn")

WATCH = f"""
import sys
from gradience.cli.app import main
try:
    main()
except SystemExit as stopped:
    code = stopped.code
print("LOADED", [name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)
"""


def loaded_by(*args: object) -> str:
    """The heavy modules that a command loaded, and its exit code, as printed."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *map(str, args)], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[-1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"optimizer": {"lr": 1e-4}}))
    return path


def test_help() -> None:
    assert loaded_by("--help") == "LOADED [] 0"


def test_check(config: Path) -> None:
    assert loaded_by("check", config) == "LOADED [] 0"


def test_monitor() -> None:
    run = DATA / "gradience" / "fixture_vnext_minimal.jsonl"
    assert loaded_by("monitor", run) == "LOADED [] 0"


def test_audit(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter")
    assert loaded_by("audit", "--peft-dir", adapter, "--layers") == "LOADED [] 0"


def test_the_package_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import gradience, sys; print('numpy' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
