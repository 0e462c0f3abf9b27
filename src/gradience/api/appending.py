"""An audit's summary into a run's telemetry."""

import os
from pathlib import Path

from gradience.core.audit.report import AuditReport
from gradience.core.signals.pipeline import run_signals
from gradience.shell.telemetry.reader import TelemetryReader
from gradience.shell.telemetry.writer import TelemetryWriter

StrPath = str | os.PathLike[str]


def append_audit(report: AuditReport, run: StrPath) -> None:
    """Appends an audit's summary to a telemetry file, as ``metrics`` of kind ``lora_audit``.

    The event carries the id of the file's last run and its last step, so that monitor counts it
    to that run. A file that does not exist yet is begun.

    Raises:
        TelemetryError: The file is no telemetry v1, or cannot be written.
    """
    path = Path(run)
    run_id, step = None, None
    if path.exists() and path.stat().st_size:
        signal = run_signals(TelemetryReader(path).iter_batches()).run
        run_id, step = signal.run_id, signal.last_step
    with TelemetryWriter(path, run_id=run_id) as writer:
        writer.metrics(step, kind="lora_audit", metrics=report.summary())
