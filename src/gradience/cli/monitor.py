"""``gradience monitor``."""

from pathlib import Path
from typing import TYPE_CHECKING

from gradience.api import monitor
from gradience.cli.app import EXIT_FINDINGS, EXIT_OK
from gradience.cli.output import console, print_json
from gradience.core.errors import TelemetryError
from gradience.core.monitoring.gap import GapPolicy
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.severity import FailOn

if TYPE_CHECKING:
    from gradience.core.monitoring.runs_table import RunsReport

DEFAULT_GAP_THRESHOLD = GapPolicy().threshold


def monitor_command(
    run: Path,
    /,
    *,
    gap_threshold: float = DEFAULT_GAP_THRESHOLD,
    strict_schema: bool = False,
    fail_on: FailOn = FailOn.NEVER,
    follow: bool = False,
    timeout: float | None = None,
    verbose: bool = False,
    json: bool = False,
) -> int:
    """Say what happened in a run, from its log; in every run below a folder, as a table.

    Args:
        run: The log: telemetry (by default <output_dir>/run.jsonl of the run), a
            trainer_state.json or log_history, the log of LLaMA-Factory, ms-swift or torchtune; or
            a folder with runs anywhere below it.
        gap_threshold: Held-out over training perplexity above which to warn.
        strict_schema: Refuse a file with any issue of severity warning instead of listing it.
        fail_on: Exit with 1 on an alert, advice or file issue of this severity or above.
        follow: Redraw while the log grows, until the run ends; exit with 1 where it was aborted or
            failed.
        timeout: With --follow, give up after this many seconds without a new record.
        verbose: Show every number and the grounds of each recommendation.
        json: Print the report as JSON.
    """
    if timeout is not None and not follow:
        raise TelemetryError("--timeout: expected --follow beside it, found none. Add --follow.")
    if follow:
        from gradience.cli.follow import follow_run

        return follow_run(
            run,
            policy=MonitorPolicy(gap=GapPolicy(threshold=gap_threshold)),
            strict_schema=strict_schema,
            fail_on=fail_on,
            verbose=verbose,
            json=json,
            timeout_s=timeout,
        )
    if run.is_dir():
        from gradience.api import monitor_folder

        runs = monitor_folder(run, gap_threshold=gap_threshold, strict_schema=strict_schema)
        return _show_runs(runs, fail_on, verbose=verbose, json=json)
    report = monitor(run, gap_threshold=gap_threshold, strict_schema=strict_schema)
    if json:
        print_json(report)
    else:
        from gradience.cli.views.monitor import render_monitor

        render_monitor(report, console(), verbose=verbose)
    return EXIT_FINDINGS if fail_on.triggered_by(report.severities) else EXIT_OK


def _show_runs(report: "RunsReport", fail_on: FailOn, *, verbose: bool, json: bool) -> int:
    """Prints the table of runs; a folder without any is an error."""
    if json:
        print_json(report)
    else:
        from gradience.cli.views.runs import render_runs

        render_runs(report, console(), verbose=verbose)
    if not report.runs:
        raise TelemetryError(
            f"{report.folder}: expected the log of a run somewhere below, found none. Name the "
            "log itself, or the folder that the runs wrote to."
        )
    return EXIT_FINDINGS if fail_on.triggered_by(report.severities) else EXIT_OK
