"""What a conversion of a run's log did."""

from collections.abc import Mapping

import msgspec

from gradience.core.telemetry.issues import TelemetryIssue


class ConvertReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, what was written, and what was odd about the log."""

    source: str
    out: str
    kind: str
    """What wrote the log: a value of :class:`~gradience.core.foreign_logs.kinds.LogFileKind`."""
    n_events: int
    events: Mapping[str, int] = {}
    """Number of events by name, those of the file that was written."""
    run_ids: tuple[str, ...] = ()
    """The runs in it, in order."""
    telemetry_issues: tuple[TelemetryIssue, ...] = ()
