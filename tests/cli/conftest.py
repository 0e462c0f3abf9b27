"""The ``cli`` fixture."""

from collections.abc import Callable

import pytest

from tests.cli.run_cli import CliResult, run_cli


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CliResult]:
    """Runs ``gradience ARGS`` in process, 80 columns wide and without colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def run(*args: object) -> CliResult:
        return run_cli(capsys, *args)

    return run
