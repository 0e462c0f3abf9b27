"""The command line's wiring: commands are registered by name and imported when called."""

import gc
import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App, Parameter

from gradience import __version__
from gradience.core.errors import GradienceError

EXIT_OK = 0
"""All is well."""

EXIT_FINDINGS = 1
"""Findings at or above ``--fail-on``."""

EXIT_UNUSABLE = 2
"""Bad usage, or input that cannot be read."""

EXIT_INTERRUPTED = 130
"""Stopped by Ctrl-C, as shells count it."""

COLLECT_AFTER = 100_000
"""New objects between two searches for garbage cycles: Python's 700 would search a hundred times
while a command is imported, a tenth of its cold start."""

COMMANDS = {
    "demo": "Train, check, monitor and audit a tiny model: no network, no GPU, under a minute.",
    "check": "Look at a configuration before GPU hours are spent on it.",
    "rule": "List the rules of check, or tell one with its evidence.",
    "monitor": "Say what happened in a run, from its log; or in every run below a folder.",
    "convert": "Make telemetry of another tool's log, or of an older recording.",
    "audit": "Measure what an adapter's weights use of their rank.",
    "explain": "Tell what an audit found of one module, and why rank policies disagree.",
    "schema": "Print the JSON Schema of the telemetry or of a report.",
}
"""Command → the line that ``--help`` shows."""

app = App(
    name="gradience",
    help="Flight recorder and mechanic for LoRA / PEFT fine-tuning.\n\n"
    "Exit codes: 0 fine, 1 findings at or above --fail-on, 2 bad usage or unreadable input.",
    version=__version__,
    default_parameter=Parameter(negative=()),
)
for _name, _help in COMMANDS.items():
    app.command(f"gradience.cli.{_name}:{_name}_command", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line (the process's own by default) and exits with its code."""
    gc.set_threshold(COLLECT_AFTER)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without Greek letters shows "?" for them rather than a traceback.
        sys.stdout.reconfigure(errors="replace")
    try:
        app(arguments)
    except GradienceError as error:
        sys.stderr.write(f"gradience: {error}\n")
        sys.exit(EXIT_UNUSABLE)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        _leave_the_pipe()
        sys.exit(EXIT_OK)
    except OSError as error:
        sys.stderr.write(f"gradience: {error}\n")
        _leave_the_pipe()
        sys.exit(EXIT_UNUSABLE)


def _leave_the_pipe() -> None:
    """Sends what is still buffered nowhere, so that the interpreter does not fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
