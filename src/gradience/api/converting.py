"""``convert`` from Python."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gradience.core.errors import TelemetryError
from gradience.core.foreign_logs.report import ConvertReport
from gradience.core.telemetry.events import AnyEvent, event_name
from gradience.shell.telemetry.converted_file import write_whole_file
from gradience.shell.telemetry.run_log import open_run_log

StrPath = str | os.PathLike[str]


def convert(source: StrPath, out: StrPath, *, force: bool = False) -> ConvertReport:
    """Makes telemetry v1 of a run's log, whichever known tool wrote it.

    No number changes; a log of an older recorder comes out in this version's shape. Converting a
    log again gives the same file.

    Args:
        source: A log or a folder, as :func:`gradience.api.monitor` takes it.
        out: The JSON Lines file to write; it is there whole or not at all.
        force: Replaces a file of that name.

    Returns:
        What was written, and what was odd about the log.

    Raises:
        TelemetryError: The log cannot be read, is none that is known, or is ``out`` itself; or
            ``out`` is there already or cannot be written.
    """
    log = open_run_log(source)
    target = Path(out)
    if target.exists() and log.path.exists() and target.samefile(log.path):
        raise TelemetryError(
            f"{out}: expected another file than the log that is converted, found the same. Name "
            "a new file."
        )
    counts: Counter[str] = Counter()
    run_ids: dict[str, None] = {}

    def counted() -> Iterator[AnyEvent]:
        for event in log.iter_events():
            counts[event_name(event)] += 1
            if event.run_id is not None:
                run_ids[event.run_id] = None
            yield event

    write_whole_file(target, counted(), force=force)
    return ConvertReport(
        source=str(log.path),
        out=str(out),
        kind=log.kind.value,
        n_events=counts.total(),
        events=dict(sorted(counts.items())),
        run_ids=tuple(run_ids),
        telemetry_issues=log.issues,
    )
