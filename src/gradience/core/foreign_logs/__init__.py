"""The logs of other tools, as events of telemetry v1."""
