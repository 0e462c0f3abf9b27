"""Kinds of runs as people publish them, and what a careful reader says of each.

Shapes and noises are those of public ``trainer_state.json`` files; the numbers are drawn.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tests.core.telemetry.sample_events import batch, evaluation, train_step

from gradience.core.signals.batch import Floats
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.events import AnyEvent

Rng = np.random.Generator
Schedule = Callable[[Floats], Floats]
"""Share of the run, 0 to 1 → learning rate."""

EVERY = 10
"""Steps between two logged rows."""

PEAK = 2e-4


class Kind(NamedTuple):
    """A kind of run with its label: every ``must`` is told, nothing else but ``may`` is loud."""

    draw: Callable[[Rng], RunSignals]
    must: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()


def linear(t: Floats) -> Floats:
    """Linear decay."""
    return PEAK * (1 - t)


SCHEDULES: Mapping[str, Schedule] = {
    "linear": linear,
    "constant": lambda t: np.full(t.size, PEAK),
    "cosine with warm-up": lambda t: PEAK * np.minimum(t / 0.05, 0.5 * (1 + np.cos(np.pi * t))),
    "inverse square root": lambda t: PEAK * np.minimum(t / 0.1, np.sqrt(0.1 / t)),
    "warm-up, stable, decay": lambda t: PEAK * np.minimum(np.minimum(t / 0.05, 1), (1 - t) / 0.2),
    "polynomial": lambda t: PEAK * (1 - t) ** 2,
    "steps": lambda t: PEAK * 0.1 ** np.floor(3 * t),
}
"""Schedules without a jump that needs explaining."""


def run_of(
    loss: Floats,
    *,
    schedule: Schedule = linear,
    norms: Floats | None = None,
    evals: Sequence[float] = (),
    **metrics: object,
) -> RunSignals:
    """The signals of a run.

    Args:
        loss: Shape (n,), one for each row; rounded as the Trainer does.
        schedule: The learning rates.
        norms: Shape (n,), gradient norms.
        evals: Evaluation losses at equal distances, the last one at the end.
        metrics: What every evaluation tells besides.
    """
    n = loss.size
    rates = schedule(np.arange(1, n + 1) / (n + 1))
    evaluated = {n * (k + 1) // len(evals) - 1: value for k, value in enumerate(evals)}
    events: list[AnyEvent] = []
    for row, value in enumerate(loss.tolist()):
        step = EVERY * (row + 1)
        norm = None if norms is None else float(norms[row])
        events.append(train_step(step, loss=round(value, 4), lr=float(rates[row]), grad_norm=norm))
        if row in evaluated:
            events.append(evaluation("eval", step, loss=evaluated[row], **metrics))
    return run_signals([batch(*events)])


def falling(rng: Rng, n: int, start: float, end: float, noise: float) -> Floats:
    """A loss that falls quickly, then rests at ``end``."""
    level = end + (start - end) * np.exp(-np.arange(n) / (0.1 * n))
    fallen: Floats = level * (1 + noise * rng.standard_normal(n))
    return fallen


def norms_of(rng: Rng, n: int) -> Floats:
    """Gradient norms with the spread of public runs."""
    norms: Floats = 0.5 * np.exp(0.3 * rng.standard_normal(n))
    return norms


def _fine_tuning(rng: Rng) -> RunSignals:
    n = int(rng.integers(30, 200))
    names = sorted(SCHEDULES)
    schedule = SCHEDULES[names[int(rng.integers(len(names)))]]
    loss = falling(rng, n, 1.9, 1.1, 0.04)
    return run_of(loss, schedule=schedule, norms=norms_of(rng, n), evals=[1.25, 1.18, 1.16, 1.16])


def _epochs_step_down(rng: Rng) -> RunSignals:
    epochs = np.repeat(np.arange(3), 40)
    loss = falling(rng, 120, 1.8, 1.0, 0.05) * 0.88**epochs
    return run_of(loss, norms=norms_of(rng, 120), evals=[1.08, 1.05, 1.06])


def _below_zero(rng: Rng) -> RunSignals:
    loss = falling(rng, 100, 4.0, 0.5, 0.03) - 2.5
    return run_of(loss, norms=norms_of(rng, 100), evals=[-0.5, -1.5, -1.9])


def _two_tasks_in_turn(rng: Rng) -> RunSignals:
    loss = falling(rng, 200, 1.2, 0.7, 0.05) * np.where(np.arange(200) % 2, 2.2, 0.35)
    return run_of(loss, norms=norms_of(rng, 200))


def _squared_errors(rng: Rng) -> RunSignals:
    """Large numbers are no cross-entropy, however far apart they are."""
    loss = 1e5 * falling(rng, 60, 3.0, 0.5, 0.05)
    return run_of(loss, evals=[6.5e4, 6.2e4, 6.1e4], rmse=250.0)


def _scaler_finds_its_scale(rng: Rng) -> RunSignals:
    norms = norms_of(rng, 100)
    norms[: int(rng.integers(1, 5))] = math.inf
    return run_of(falling(rng, 100, 1.9, 1.1, 0.04), norms=norms)


def _memorised(rng: Rng) -> RunSignals:
    """Held-out loss rises from the first evaluation on, faster and faster."""
    rise = np.cumsum(np.append(0, np.sort(rng.uniform(0.03, 0.15, 4))))
    return run_of(falling(rng, 60, 1.2, 0.1, 0.05), evals=[float(0.5 + r) for r in rise])


def _dead_gradients(rng: Rng) -> RunSignals:
    return run_of(1.6 * (1 + 0.15 * rng.standard_normal(80)), norms=np.zeros(80))


def _guesses_labels(rng: Rng) -> RunSignals:
    chance = math.log(int(rng.integers(2, 11)))
    fall = np.linspace(1.5 * chance, chance, 15)
    rest = chance * (1 + 0.004 * rng.standard_normal(60))
    return run_of(np.concatenate([fall, rest]), evals=[chance] * 3, f1=0.1)


def _collapsed(rng: Rng) -> RunSignals:
    """A classifier that learns, then guesses for good."""
    at = int(rng.integers(25, 60))
    learns = np.linspace(0.66, 0.3, at) * (1 + 0.04 * rng.standard_normal(at))
    guesses = math.log(2) * (1 + 0.008 * rng.standard_normal(90 - at))
    return run_of(np.concatenate([learns, guesses]))


def _lost_at_once(rng: Rng) -> RunSignals:
    loss = np.append(1.7, 9.5 * (1 + 0.04 * rng.standard_normal(50)))
    return run_of(loss, schedule=lambda t: 1000 * linear(t))


def _one_bad_batch_of_few(rng: Rng) -> RunSignals:
    loss = falling(rng, int(rng.integers(7, 12)), 1.9, 1.2, 0.02)
    loss[int(rng.integers(3, loss.size - 1))] = 6.5
    return run_of(loss)


def _spikes_of_loss_and_norm(rng: Rng) -> RunSignals:
    loss, norms = falling(rng, 120, 1.9, 1.0, 0.04), norms_of(rng, 120)
    for row in rng.choice(np.arange(30, 110), 2, replace=False):
        loss[row], norms[row] = 6 * loss[row], 40 * norms[row]
    return run_of(loss, norms=norms)


def _swings(rng: Rng) -> RunSignals:
    up = np.where(np.arange(16) % 2, 1.4, 0.7) * (1 + 0.05 * rng.standard_normal(16))
    return run_of(falling(rng, 96, 0.9, 0.4, 0.06), evals=[float(0.6 * u) for u in up])


def _resumed_anew(rng: Rng) -> RunSignals:
    at = rng.uniform(0.3, 0.7)
    return run_of(
        falling(rng, 100, 1.9, 1.0, 0.03),
        schedule=lambda t: np.where(t < at, linear(t), PEAK * (1 - t) / (1 - at)),
    )


def _kind(draw: Callable[[Rng], RunSignals], must: str = "", may: str = "") -> Kind:
    return Kind(draw, frozenset(must.split()), frozenset(may.split()))


KINDS: Mapping[str, Kind] = {
    "fine-tuning": _kind(_fine_tuning),
    "epochs step down": _kind(_epochs_step_down),
    "losses below zero": _kind(_below_zero),
    "two tasks in turn": _kind(_two_tasks_in_turn),
    "squared errors": _kind(_squared_errors),
    "scaler finds its scale": _kind(_scaler_finds_its_scale, "nonfinite_grad_norm"),
    "memorised": _kind(_memorised, "overfitting", "memorization_gap near_zero_train_loss"),
    "dead gradients": _kind(_dead_gradients, "no_learning"),
    "guesses labels": _kind(_guesses_labels, "no_learning"),
    "collapsed": _kind(_collapsed, "divergence"),
    "lost at once": _kind(_lost_at_once, "divergence extreme_lr"),
    "one bad batch of few": _kind(_one_bad_batch_of_few, "loss_spike"),
    "spikes": _kind(_spikes_of_loss_and_norm, "loss_spike grad_norm_outlier"),
    "swings": _kind(_swings, "unstable_eval", "overfitting"),
    "resumed anew": _kind(_resumed_anew, "lr_discontinuity"),
}
"""Name → kind."""

ONE_EVENT: Mapping[str, str] = {
    "scaler finds its scale": "",
    "collapsed": "divergence",
    "spikes": "loss_spike",
    "swings": "unstable_eval",
    "one bad batch of few": "",
}
"""Kinds of which one code alone is loud, or none."""
