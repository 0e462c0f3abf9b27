"""Telemetry on disk: the append-only writer and the streaming reader."""
