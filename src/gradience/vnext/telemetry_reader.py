"""``TelemetryReader`` under its contract path."""

from gradience.core.telemetry.issues import TelemetryIssue
from gradience.shell.telemetry.reader import TelemetryReader

__all__ = ["TelemetryIssue", "TelemetryReader"]
