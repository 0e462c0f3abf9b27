"""``gradience monitor``."""

from pathlib import Path

from gradience.api import monitor
from gradience.cli.app import EXIT_FINDINGS, EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.views.monitor import render_monitor
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.severity import FailOn

DEFAULT_GAP_THRESHOLD = GapPolicy().threshold


def monitor_command(
    run: Path,
    /,
    *,
    gap_threshold: float = DEFAULT_GAP_THRESHOLD,
    strict_schema: bool = False,
    fail_on: FailOn = FailOn.NEVER,
    verbose: bool = False,
    json: bool = False,
) -> int:
    """Say what happened in a run, from its telemetry.

    Args:
        run: The telemetry file, by default <output_dir>/run.jsonl of the run.
        gap_threshold: Held-out over training perplexity above which to warn.
        strict_schema: Refuse a file with any issue of severity warning instead of listing it.
        fail_on: Exit with 1 on an alert, advice or file issue of this severity or above.
        verbose: Show every number and the grounds of each recommendation.
        json: Print the report as JSON.
    """
    report = monitor(run, gap_threshold=gap_threshold, strict_schema=strict_schema)
    if json:
        print_json(report)
    else:
        render_monitor(report, console(), verbose=verbose)
    return EXIT_FINDINGS if fail_on.triggered_by(report.severities) else EXIT_OK
