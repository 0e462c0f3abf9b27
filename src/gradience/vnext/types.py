"""The types of telemetry and reports under their contract path."""

from gradience.core.config.snapshot import (
    ConfigSnapshot,
    LoraSnapshot,
    OptimizerSnapshot,
    TaskProfile,
    TrainingSnapshot,
)
from gradience.core.monitoring.gap import EvalMetrics
from gradience.core.monitoring.signals import SignalSnapshot
from gradience.core.severity import Severity
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    Recommendation,
    RunStatus,
)

__all__ = [
    "TELEMETRY_SCHEMA_VERSION",
    "ConfigSnapshot",
    "EvalMetrics",
    "LoraSnapshot",
    "OptimizerSnapshot",
    "Recommendation",
    "RunStatus",
    "Severity",
    "SignalSnapshot",
    "TaskProfile",
    "TrainingSnapshot",
]
