"""A long training run's telemetry, as the callback would have written it."""

import random
from collections.abc import Iterator
from pathlib import Path

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.telemetry.encode import encode_event
from gradience.core.telemetry.events import (
    TELEMETRY_SCHEMA_VERSION,
    Eval,
    KnownEvent,
    RunEnd,
    RunStart,
    RunStatus,
    TrainStep,
)

STEPS_PER_EVAL = 5000
RUN_ID = "20250101-000000-abcdef012345"
BEGUN = 1.7e9


def write_run(path: Path, steps: int, further_keys: int = 0) -> None:
    """Writes a ``run_start``, training steps with evaluations among them, and a ``run_end``.

    Args:
        path: The file; overwritten.
        steps: Training steps.
        further_keys: Numbers that each step logs beside the hot fields.
    """
    with path.open("wb") as file:
        for event in _events(steps, further_keys):
            file.write(encode_event(event) + b"\n")


def _events(steps: int, further_keys: int) -> Iterator[KnownEvent]:
    draw = random.Random(0)  # noqa: S311  numbers to measure with
    envelope = {"schema": TELEMETRY_SCHEMA_VERSION, "run_id": RUN_ID}
    yield RunStart(ts=BEGUN, step=None, config=ConfigSnapshot(), **envelope)
    for step in range(1, steps + 1):
        extras = {f"rewards/{key}": round(draw.random(), 6) for key in range(further_keys)}
        yield TrainStep(
            ts=BEGUN + step / 2,
            step=step,
            loss=round(1.0 + draw.random(), 4),
            lr=1e-4 * (1.0 - step / (steps + 1)),
            grad_norm=draw.random(),
            epoch=step / 1000,
            extras=extras,
            **envelope,
        )
        if step % STEPS_PER_EVAL == 0:
            metrics = {"loss": round(1.0 + draw.random(), 4)}
            yield Eval(ts=BEGUN + step / 2, step=step, split="eval", metrics=metrics, **envelope)
    yield RunEnd(ts=BEGUN + steps / 2, step=steps, status=RunStatus.OK, **envelope)
