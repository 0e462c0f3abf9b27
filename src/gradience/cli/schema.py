"""``gradience schema``."""

from typing import Literal

from gradience.cli.app import EXIT_OK
from gradience.cli.output import print_json_value
from gradience.core.schemas import json_schema


def schema_command(name: Literal["telemetry", "check", "monitor", "audit"], /) -> int:
    """Print the JSON Schema of the telemetry or of a report.

    Args:
        name: Whose schema: of one telemetry record, or of what a command prints with --json.
    """
    print_json_value(json_schema(name))
    return EXIT_OK
