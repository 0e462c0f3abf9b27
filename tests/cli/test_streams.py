"""What the command line does when its output is a pipe, a full disk or a plain terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_audit import write_adapter


def gradience(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A shell line with ``$GRADIENCE`` in it."""
    program = f"{sys.executable} -m gradience"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],  # noqa: S607  bash is what people pipe in
        env={**os.environ, "GRADIENCE": program, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "adapter")


@pytest.mark.parametrize("flag", ["--layers", "--json"])
def test_a_closed_pipe_is_no_failure(adapter: Path, flag: str) -> None:
    done = gradience(f"$GRADIENCE audit --peft-dir {adapter} {flag} | true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flag", ["--layers", "--json"])
def test_a_full_disk_exits_2_without_a_traceback(adapter: Path, flag: str) -> None:
    done = gradience(f"$GRADIENCE audit --peft-dir {adapter} {flag} > /dev/full")
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_without_greek_letters_gets_question_marks(adapter: Path) -> None:
    done = gradience(f"$GRADIENCE audit --peft-dir {adapter} --layers", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "?" in done.stdout
