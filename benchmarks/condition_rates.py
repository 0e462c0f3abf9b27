"""How often the conditions of the training loss fire: on healthy synthetic runs, and on faults.

``python -m benchmarks.condition_rates [RUNS]`` prints false alarms per 1000 healthy runs of each
kind, at severity info and at warning or above, and the share of faults found per size. The seeds
are fixed: the same numbers come out wherever it runs.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from benchmarks.loss_curves import (
    HEALTHY,
    Curve,
    Floats,
    Placed,
    curve_signals,
    flat_curve,
    healthy_curve,
    with_dead_gradients,
    with_divergence,
    with_outlier,
    with_spike,
)
from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.divergence import find_divergence
from gradience.core.monitoring.conditions.grad_norm_outlier import find_grad_norm_outlier
from gradience.core.monitoring.conditions.loss_spike import find_loss_spike
from gradience.core.monitoring.conditions.near_zero_train_loss import find_near_zero_train_loss
from gradience.core.monitoring.conditions.no_learning import find_no_learning
from gradience.core.monitoring.conditions.zero_loss import find_zero_loss
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import RunSignals

TRAINING_CONDITIONS = (
    find_loss_spike,
    find_divergence,
    find_no_learning,
    find_near_zero_train_loss,
    find_zero_loss,
    find_grad_norm_outlier,
)
"""The conditions of the training side."""

SIZES = (5, 8, 12, 20, 35, 60, 100, 200, 500, 1000, 2500)
"""Logged rows of the runs."""

LONG = 20_000
"""Rows of a long run, which the history keeps in buckets."""

DEFAULT_RUNS = 1000

CALM_SPREAD = 0.15
"""Robust relative noise up to which an eye sees a jump of 3 times at once."""

LAST_FAULT = 0.85
"""Share of a run within which its fault begins."""

SEED = 5


def training_alerts(signals: RunSignals) -> list[MonitorAlert]:
    """The alerts of all conditions of the training side."""
    return [alert for find in TRAINING_CONDITIONS for alert in find(signals)]


def spread(values: Floats) -> float:
    """Robust noise from row to row, as a share of the level."""
    known = values[np.isfinite(values)]
    if known.size < 3:
        return float("inf")
    steps = np.abs(np.diff(known)) / np.maximum(known[1:], 1e-12)
    return float(1.4826 * np.median(steps) / np.sqrt(2))


def _healthy_runs(kind: str, runs: int) -> Iterator[Curve]:
    for i in range(runs):
        rng = np.random.default_rng([SEED, sum(kind.encode()), i])
        n = LONG if i % 200 == 199 else int(rng.choice(SIZES))
        curve = healthy_curve(rng, kind, n)
        # Half of them are seen before they are over.
        yield curve if i % 2 else curve.rows(slice(0, int(n * rng.uniform(0.2, 1)) + 1))


def _print_false_alarms(runs: int) -> None:
    print(f"alerts per 1000 healthy runs, {runs} runs of each kind (warning and above / info)")
    for kind in HEALTHY:
        loud: Counter[str] = Counter()
        quiet: Counter[str] = Counter()
        for curve in _healthy_runs(kind, runs):
            for alert in training_alerts(curve_signals(curve)):
                counter = loud if alert.severity.at_least(Severity.WARNING) else quiet
                counter[alert.code] += 1
        rates = (
            f"{code} {1000 * loud[code] / runs:.1f} / {1000 * quiet[code] / runs:.1f}"
            for code in sorted(loud | quiet)
        )
        print(f"  {kind:12}", "; ".join(rates) or "none")


Fault = Callable[[np.random.Generator, Curve, int], Placed]


def _spike(size: float, rows: int) -> Fault:
    return lambda _, curve, row: with_spike(curve, row, size, rows)


def _divergence(size: float) -> Fault:
    return lambda rng, curve, row: with_divergence(curve, row, size, int(rng.integers(1, 6)))


def _outlier(size: float) -> Fault:
    return lambda _, curve, row: with_outlier(curve, row, size)


def _dead(_: np.random.Generator, curve: Curve, row: int) -> Placed:
    return with_dead_gradients(curve, row, zero=True)


FAULTS: Mapping[str, tuple[str, Fault]] = {
    **{
        f"spike x {size}, {rows} rows": ("loss_spike", _spike(size, rows))
        for size in (2, 3, 5, 10)
        for rows in (1, 3)
    },
    "spike x 3, 25 rows": ("loss_spike", _spike(3, 25)),
    **{f"divergence x {size}": ("divergence", _divergence(size)) for size in (1.5, 2, 3, 5)},
    "dead, loss 0": ("zero_loss", _dead),
    **{f"gradient norm x {size}": ("grad_norm_outlier", _outlier(size)) for size in (10, 30, 100)},
}
"""Name of a fault → the code that tells it, and what puts it at a row of a curve."""


def _print_detection(runs: int) -> None:
    print(f"\nshare of faults found, {runs} runs each, by the noise of the run (calm / all)")
    kinds = [kind for kind in HEALTHY if kind != "memorising"]
    for name, (code, fault) in FAULTS.items():
        hits: dict[bool, list[bool]] = {True: [], False: []}
        for i in range(runs):
            rng = np.random.default_rng([SEED, sum(name.encode()), i])
            n = int(rng.choice([size for size in SIZES if size >= 35]))
            curve = healthy_curve(rng, kinds[i % len(kinds)], n)
            row = int(rng.integers(max(12, n // 10), int(LAST_FAULT * n)))
            placed = fault(rng, curve, row)
            found = {alert.code for alert in training_alerts(curve_signals(placed.curve))}
            column = curve.grad_norm if "gradient" in name else curve.loss
            calm = spread(column[max(0, row - 50) : row]) <= CALM_SPREAD
            hits[calm].append(code in found)
        print(f"  {name:22} {_share(hits[True])} / {_share(hits[True] + hits[False])}")


def _share(hits: list[bool]) -> str:
    return f"{sum(hits) / len(hits):.3f}" if hits else "-"


def _print_flat(runs: int) -> None:
    print(f"\nshare of flat runs that no_learning tells, {runs} each")
    for n in (20, 50, 100, 500):
        shares = []
        for noise in (0.01, 0.03, 0.05, 0.1, 0.2):
            found = [
                any(
                    find_no_learning(
                        curve_signals(flat_curve(np.random.default_rng([SEED, n, i]), n, noise))
                    )
                )
                for i in range(runs)
            ]
            shares.append(f"noise {noise:.0%}: {_share(found)}")
        print(f"  {n:4} rows  ", "; ".join(shares))


def main() -> None:
    """Prints all rates."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_RUNS
    _print_false_alarms(runs)
    _print_detection(max(50, runs // 2))
    _print_flat(max(20, runs // 5))


if __name__ == "__main__":
    main()
