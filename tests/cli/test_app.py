"""The command line as a whole."""

from collections.abc import Callable

import gradience
from gradience.cli.app import COMMANDS
from tests.cli.run_cli import CliResult

Cli = Callable[..., CliResult]


def test_help_lists_every_command_and_the_exit_codes(cli: Cli) -> None:
    result = cli("--help")
    assert result.code == 0
    assert "Exit codes" in result.out
    assert all(name in result.out for name in COMMANDS)


def test_version(cli: Cli) -> None:
    assert cli("--version").out.strip() == gradience.__version__


def test_unknown_command_exits_2(cli: Cli) -> None:
    result = cli("fly")
    assert (result.code, result.out) == (2, "")
