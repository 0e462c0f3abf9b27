"""``TelemetryWriter`` under its contract path."""

from gradience.shell.telemetry.writer import TelemetryWriter

__all__ = ["TelemetryWriter"]
