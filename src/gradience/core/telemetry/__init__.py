"""Telemetry v1: the events, and the one line of JSON that each of them is."""
