"""Tests of gradience.core.telemetry."""
