"""``gradience schema``."""

from gradience.cli.app import EXIT_OK
from gradience.cli.output import print_json_value
from gradience.core.schemas import SchemaName, json_schema


def schema_command(name: SchemaName, /) -> int:
    """Print the JSON Schema of the telemetry or of a report.

    Args:
        name: Whose schema: of one telemetry record, or of what a command prints with --json.
    """
    print_json_value(json_schema(name))
    return EXIT_OK
