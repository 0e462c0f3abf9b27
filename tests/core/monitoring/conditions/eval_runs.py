"""Signals of short runs with evaluations or learning rates, as the tests write them down."""

from collections.abc import Sequence

import numpy as np

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.monitoring.evaluation_points import EvalPoints, eval_points
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, run_start, train_step

FALLING = (1.0, 0.4)
"""First and last training loss of a run that goes on learning."""

EVERY = 100
"""Steps between two evaluations."""


def eval_events(
    losses: Sequence[float], train: tuple[float, float] | None = FALLING, split: str = "eval"
) -> list[AnyEvent]:
    """Evaluations every hundred steps, with ten training losses before each."""
    events: list[AnyEvent] = []
    logged = np.linspace(*train, 10 * len(losses)).tolist() if train else []
    for place, loss in enumerate(losses, 1):
        first = EVERY * (place - 1)
        events += [
            train_step(first + 10 * (row + 1), loss=value)
            for row, value in enumerate(logged[10 * (place - 1) : 10 * place])
        ]
        events.append(evaluation(split, EVERY * place, loss=loss))
    return events


def eval_run(
    losses: Sequence[float],
    train: tuple[float, float] | None = FALLING,
    split: str = "eval",
    config: ConfigSnapshot | None = None,
) -> RunSignals:
    """The signals of such a run."""
    return run_signals([batch(run_start(config=config), *eval_events(losses, train, split))])


def points_of(losses: Sequence[float], train: tuple[float, float] | None = FALLING) -> EvalPoints:
    """Such a run's evaluations as points."""
    points = eval_points(eval_run(losses, train).eval_histories[0])
    assert points is not None
    return points


def lr_run(
    rates: Sequence[float],
    every: int = 10,
    losses: Sequence[float] | None = None,
    config: ConfigSnapshot | None = None,
) -> RunSignals:
    """A run that logs these rates, ``every`` so many steps."""
    given = losses or [1.0] * len(rates)
    events = [
        train_step(every * row, lr=rate, loss=loss)
        for row, (rate, loss) in enumerate(zip(rates, given, strict=True), 1)
    ]
    return run_signals([batch(run_start(config=config), *events)])
