"""Events and lines of telemetry for the tests, one function per kind."""

import json
from collections.abc import Mapping

import msgspec

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.severity import Severity
from gradience.core.signals.batch import Batch, build_batch
from gradience.core.telemetry.decode import decode_line
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    Alert,
    AnyEvent,
    Eval,
    Metrics,
    RunEnd,
    RunStart,
    RunStatus,
    TrainStep,
    UnknownEvent,
)

EMPTY: Mapping[str, object] = {}


def line(event: str, **payload: object) -> bytes:
    """A record of v1 as the original wrote it: bare NaN tokens where a number is none."""
    record = {"schema": TELEMETRY_SCHEMA_VERSION, "ts": 1.0, "run_id": "r", "event": event}
    return json.dumps({**record, "step": 1, **payload}).encode()


def decoded(event: str, **payload: object) -> AnyEvent:
    """The event of such a line."""
    found = decode_line(line(event, **payload)).event
    assert found is not None
    return found


def issue_codes(event: str, **payload: object) -> list[str]:
    """The codes of the issues of such a line."""
    return [issue.code for issue in decode_line(line(event, **payload)).issues]


def train_step(
    step: int | None = 1,
    *,
    loss: float | None = None,
    lr: float | tuple[float, ...] | None = None,
    grad_norm: float | None = None,
    extras: Mapping[str, object] = EMPTY,
) -> TrainStep:
    """A training step of run ``r``."""
    return TrainStep(
        schema=TELEMETRY_SCHEMA_VERSION,
        ts=1.0,
        run_id="r",
        step=step,
        loss=loss,
        lr=lr,
        grad_norm=grad_norm,
        extras=extras,
    )


def run_start(run_id: str = "r", config: ConfigSnapshot | None = None) -> RunStart:
    """The start of a run."""
    return RunStart(
        schema=TELEMETRY_SCHEMA_VERSION,
        ts=1.0,
        run_id=run_id,
        step=None,
        config=config or ConfigSnapshot(),
    )


def resume(step: int, run_id: str = "r") -> RunStart:
    """The start of a run that goes on from a checkpoint."""
    return msgspec.structs.replace(run_start(run_id), meta={"resumed_from_step": step})


def run_end(status: RunStatus = RunStatus.OK, reason: str | None = None) -> RunEnd:
    """The end of run ``r``."""
    return RunEnd(
        schema=TELEMETRY_SCHEMA_VERSION, ts=9.0, run_id="r", step=9, status=status, reason=reason
    )


def evaluation(split: str, step: int = 1, **metrics: object) -> Eval:
    """An evaluation of a split."""
    return Eval(
        schema=TELEMETRY_SCHEMA_VERSION, ts=2.0, run_id="r", step=step, split=split, metrics=metrics
    )


def metrics(kind: str, values: Mapping[str, object], step: int = 1) -> Metrics:
    """Metrics of a kind."""
    return Metrics(
        schema=TELEMETRY_SCHEMA_VERSION, ts=2.0, run_id="r", step=step, kind=kind, metrics=values
    )


def alert(
    code: str,
    severity: Severity = Severity.WARNING,
    step: int = 1,
    context: Mapping[str, object] = EMPTY,
) -> Alert:
    """An alert on record."""
    return Alert(
        schema=TELEMETRY_SCHEMA_VERSION,
        ts=2.0,
        run_id="r",
        step=step,
        severity=severity,
        code=code,
        message=f"about {code}",
        context=context,
    )


def unknown(event: str = "news") -> UnknownEvent:
    """An event of a newer version."""
    return UnknownEvent(event=event, schema=TELEMETRY_SCHEMA_VERSION, ts=2.0, run_id="r", step=1)


def batch(*events: AnyEvent) -> Batch:
    """The events as one batch from the start of a stream."""
    return build_batch(events)
