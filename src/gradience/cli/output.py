"""What every command prints with: strict JSON, and the console of the terminal view."""

import sys

import msgspec
from rich.console import Console

from gradience.core.nonfinite import NONFINITE_KEY, split_nonfinite


def print_json(report: msgspec.Struct) -> None:
    """Prints a report as one JSON document on stdout, non-finite numbers named beside it."""
    value, table = split_nonfinite(msgspec.to_builtins(report))
    if table and isinstance(value, dict):
        value[NONFINITE_KEY] = table
    print_json_value(value)


def print_json_value(value: object) -> None:
    """Prints plain JSON data, indented."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")
    sys.stdout.flush()


class PipeConsole(Console):
    """A console that lets the caller see that nobody reads on (``gradience … | head``)."""

    def on_broken_pipe(self) -> None:
        """Raises on, where Rich would exit with 1."""
        raise BrokenPipeError


def console() -> Console:
    """The console of stdout: honours NO_COLOR, COLUMNS and whether it is a terminal.

    Texts are printed as they are: a name from a file may look like Rich's markup.
    """
    return PipeConsole(highlight=False, markup=False)
