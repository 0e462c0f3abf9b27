"""Runs the command line in process."""

import json
from typing import NamedTuple

import pytest

from gradience.cli.app import main


class CliResult(NamedTuple):
    """What a command printed and how it exited."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """Standard output as the one JSON document that it must be, read by a strict parser."""
        value = json.loads(self.out, parse_constant=_refuse)
        assert isinstance(value, dict)
        return value


def run_cli(capsys: pytest.CaptureFixture[str], *args: object) -> CliResult:
    """``gradience ARGS``, captured."""
    capsys.readouterr()
    try:
        main([str(argument) for argument in args])
        code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 0
    captured = capsys.readouterr()
    return CliResult(code, captured.out, captured.err)


def _refuse(token: str) -> object:
    raise AssertionError(f"{token} is no strict JSON")
