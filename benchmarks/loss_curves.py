"""Synthetic training curves: healthy ones of many kinds, and faults to put into any curve."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from gradience.core.signals.batch import build_batch
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.build import EventBuilder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Curve(NamedTuple):
    """The logged numbers of a run; arrays of shape (n,), NaN where nothing was logged."""

    step: Ints
    loss: Floats
    grad_norm: Floats
    lr: Floats

    def rows(self, rows: slice | NDArray[np.intp]) -> "Curve":
        """Some rows of it."""
        return Curve(self.step[rows], self.loss[rows], self.grad_norm[rows], self.lr[rows])

    def with_loss(self, loss: Floats) -> "Curve":
        """The same run with other losses."""
        return self._replace(loss=loss)


def curve_signals(curve: Curve, *, nan_is_logged: bool = False) -> RunSignals:
    """What the analyzers find in a run of these numbers.

    Args:
        curve: The numbers.
        nan_is_logged: Whether a NaN among the losses was logged, rather than nothing.
    """
    builder = EventBuilder(run_id="curve")
    events = [
        builder.train_step(
            0.0,
            step,
            loss=loss if nan_is_logged else _logged(loss),
            lr=_logged(lr),
            grad_norm=_logged(norm),
            epoch=None,
            extras={},
        )
        for step, loss, norm, lr in zip(*(column.tolist() for column in curve), strict=True)
    ]
    return run_signals([build_batch(events)])


def _logged(value: float) -> float | None:
    return None if np.isnan(value) else value


def _falling(rng: np.random.Generator, t: Floats) -> Floats:
    """Level of a run that learns: t from 0 to 1."""
    start, floor = rng.uniform(0.6, 6.0), rng.uniform(0.15, 0.9)
    rate = 10 ** rng.uniform(0.3, 2.0)
    shape = np.exp(-rate * t) if rng.random() < 0.5 else (1 + 10 * rate * t) ** -0.5
    level: Floats = start * (floor + (1 - floor) * shape)
    return level


def _gaussian(rng: np.random.Generator, level: Floats) -> Floats:
    noise = rng.uniform(0.003, 0.12) * rng.standard_normal(level.size)
    return level * np.maximum(1 + noise, 0.05)


def _lognormal(rng: np.random.Generator, level: Floats) -> Floats:
    sigma = rng.uniform(0.1, 0.7)
    return level * np.exp(sigma * rng.standard_normal(level.size) - sigma**2 / 2)


def _few_samples(rng: np.random.Generator, level: Floats) -> Floats:
    k = int(rng.integers(2, 17))
    return level * rng.gamma(k, 1 / k, level.size)


def _wandering(rng: np.random.Generator, level: Floats) -> Floats:
    """Noise that is correlated from row to row."""
    memory, noise = rng.uniform(0.7, 0.95), rng.standard_normal(level.size)
    walk = np.zeros(level.size)
    for i in range(1, level.size):
        walk[i] = memory * walk[i - 1] + noise[i] * np.sqrt(1 - memory**2)
    return level * np.exp(rng.uniform(0.02, 0.1) * walk + 0.02 * rng.standard_normal(level.size))


def _heavy_tailed(rng: np.random.Generator, level: Floats) -> Floats:
    return level * np.exp(rng.uniform(0.02, 0.12) * rng.standard_t(5, level.size).clip(-6, 6))


NOISES = (_gaussian, _lognormal, _few_samples, _wandering, _heavy_tailed)


def _noisy(rng: np.random.Generator, level: Floats) -> Floats:
    return NOISES[int(rng.integers(len(NOISES)))](rng, level)


def _epochs(rng: np.random.Generator, t: Floats) -> Floats:
    """Steps down at each epoch, with a slight rise within."""
    epochs = int(rng.integers(2, 12))
    level = _falling(rng, t) * rng.uniform(0.7, 0.95) ** np.floor(epochs * t)
    return level * (1 + rng.uniform(0, 0.08) * ((epochs * t) % 1))


def _high_start(rng: np.random.Generator, t: Floats) -> Floats:
    rows = rng.uniform(0.5, 6)
    steep = rng.uniform(5, 12) * np.exp(-np.arange(t.size) / rows)
    return _falling(rng, t) * (1 + steep)


def _delayed(rng: np.random.Generator, t: Floats) -> Floats:
    """A plateau before learning begins: the loss of guessing among some classes."""
    begin = rng.uniform(0.05, 0.3)
    chance = float(np.log(rng.integers(2, 20)))
    return chance * (0.2 + 0.8 / (1 + np.exp((t - begin) * rng.uniform(15, 60))))


def _slow(rng: np.random.Generator, t: Floats) -> Floats:
    return rng.uniform(0.7, 3) * (1 - rng.uniform(0.08, 0.2) * t ** rng.uniform(0.3, 1))


def _restarts(rng: np.random.Generator, t: Floats) -> Floats:
    waves = int(rng.integers(2, 6))
    return _falling(rng, t) * (1 + rng.uniform(0.02, 0.15) * np.exp(-12 * ((waves * t) % 1)))


def _curriculum(rng: np.random.Generator, t: Floats) -> Floats:
    parts = np.exp(rng.uniform(-0.15, 0.15, 5))
    return _falling(rng, t) * parts[np.minimum(4, (5 * t).astype(np.int64))]


def _memorising(rng: np.random.Generator, t: Floats) -> Floats:
    return rng.uniform(0.3, 3) * np.exp(-rng.uniform(4, 10) * t) + 10 ** rng.uniform(-4, -2)


def _summed(rng: np.random.Generator, t: Floats) -> Floats:
    """Summed over gradient accumulation."""
    return _falling(rng, t) * float(rng.choice([4, 8, 16, 64, 256]))


HEALTHY: Mapping[str, Callable[[np.random.Generator, Floats], Floats]] = {
    "falling": _falling,
    "epochs": _epochs,
    "high_start": _high_start,
    "delayed": _delayed,
    "slow": _slow,
    "restarts": _restarts,
    "curriculum": _curriculum,
    "memorising": _memorising,
    "summed": _summed,
}
"""Kinds of healthy runs: random generator and time from 0 to 1, shape (n,) → level."""


def healthy_curve(rng: np.random.Generator, kind: str, n: int) -> Curve:
    """A healthy run of ``n`` logged rows, with noise of a random kind, rounded to four digits."""
    t = np.arange(n) / max(n - 1, 1)
    loss = np.round(_noisy(rng, HEALTHY[kind](rng, t)), 4)
    return _framed(rng, t, loss)


def flat_curve(rng: np.random.Generator, n: int, noise: float) -> Curve:
    """A run that learns nothing; ``noise`` is the relative one of each row."""
    loss = rng.uniform(0.3, 6) * (1 + noise * rng.standard_normal(n))
    return _framed(rng, np.arange(n) / max(n - 1, 1), np.round(loss, 4))


def _framed(rng: np.random.Generator, t: Floats, loss: Floats) -> Curve:
    """The losses with steps, a schedule and gradient norms."""
    warm, peak = rng.choice([0.0, 0.03, 0.1]), 10 ** rng.uniform(-5.5, -3)
    rate = peak * np.where(t < warm, t / max(warm, 1e-9), np.cos(np.pi * t / 2))
    norm = rng.uniform(0.05, 20) * np.exp(
        rng.uniform(0.1, 0.7) * rng.standard_normal(t.size) + rng.uniform(0, 2) * np.exp(-20 * t)
    )
    step = int(rng.choice([1, 5, 10, 50])) * np.arange(1, t.size + 1)
    return Curve(step, loss, norm, rate)


@attrs.frozen
class Placed:
    """A curve with a fault, and the row where it begins."""

    curve: Curve
    row: int


def local_level(loss: Floats, row: int, reach: int = 10) -> float:
    """The median loss around a row."""
    return float(np.nanmedian(loss[max(0, row - reach) : row + reach + 1]))


def with_spike(curve: Curve, row: int, size: float, rows: int = 1) -> Placed:
    """``rows`` losses raised to ``size`` times the level around them."""
    loss = curve.loss.copy()
    loss[row : row + rows] = size * local_level(loss, row)
    return Placed(curve.with_loss(loss), row)


def with_divergence(curve: Curve, row: int, size: float, climb: int = 3) -> Placed:
    """Losses from ``row`` on that climb to, and stay at, ``size`` times the level before."""
    loss = curve.loss.copy()
    before = loss[:row]
    level = max(local_level(loss, row), float(np.nanmedian(before)))
    shape = np.minimum(1.0, (np.arange(loss.size - row) + 1) / climb)
    middle = float(np.nanmedian(loss[row:]))
    jitter = loss[row:] / middle if middle else 1.0
    loss[row:] = level * (1 + (size - 1) * shape) * jitter
    return Placed(curve.with_loss(loss), row)


def with_dead_gradients(curve: Curve, row: int, *, zero: bool) -> Placed:
    """From ``row`` on the gradient norm is 0, and the loss 0 (or does not move)."""
    loss, norm = curve.loss.copy(), curve.grad_norm.copy()
    loss[row:] = 0.0 if zero else loss[row - 1]
    norm[row:] = 0.0
    return Placed(curve._replace(loss=loss, grad_norm=norm), row)


def with_outlier(curve: Curve, row: int, size: float) -> Placed:
    """One gradient norm of ``size`` times the level around it."""
    norm = curve.grad_norm.copy()
    norm[row] = size * local_level(norm, row)
    return Placed(curve._replace(grad_norm=norm), row)
