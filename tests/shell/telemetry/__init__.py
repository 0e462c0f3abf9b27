"""Tests of gradience.shell.telemetry."""
