"""Runs of given losses, as the conditions see them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.signals.pipeline import RunSignals, run_signals
from tests.core.telemetry.sample_events import batch, train_step

Numbers = Sequence[float | None] | NDArray[np.float64]


def signals_of(
    loss: Numbers,
    *,
    grad_norm: Numbers | None = None,
    lr: Numbers | None = None,
    steps: Sequence[int] | None = None,
    reinforcement: bool = False,
) -> RunSignals:
    """The signals of a run that logs every step; None where a number was not logged."""
    extras: dict[str, object] = {"reward": 0.5} if reinforcement else {}
    numbers = steps or range(1, len(loss) + 1)
    rows = zip(numbers, _plain(loss), _column(grad_norm, loss), _column(lr, loss), strict=True)
    return run_signals(
        [
            batch(
                *(
                    train_step(step, loss=value, grad_norm=norm, lr=rate, extras=extras)
                    for step, value, norm, rate in rows
                )
            )
        ]
    )


def _column(values: Numbers | None, like: Numbers) -> list[float | None]:
    return [None] * len(like) if values is None else _plain(values)


def _plain(values: Numbers) -> list[float | None]:
    return [None if value is None else float(value) for value in values]


def calm(n: int, level: float = 2.0, noise: float = 0.02) -> NDArray[np.float64]:
    """A loss that falls a little, with Gaussian noise."""
    wobble = np.random.default_rng(n).standard_normal(n)
    return level * (1 + 0.5 * np.exp(-np.arange(n) / 8)) * (1 + noise * wobble)


def only(alerts: Sequence[MonitorAlert]) -> MonitorAlert:
    """The single alert."""
    assert len(alerts) == 1
    return alerts[0]
