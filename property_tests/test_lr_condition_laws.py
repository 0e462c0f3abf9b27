"""Laws of the learning rate's conditions.

Every smooth or stepwise schedule is silent however it is logged, and a jump injected at a random
place is found there.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gradience.core.monitoring.conditions.extreme_lr import find_extreme_lr
from gradience.core.monitoring.conditions.lr_discontinuity import find_lr_discontinuity
from gradience.core.severity import Severity
from gradience.core.signals.batch import Floats, build_batch
from gradience.core.signals.pipeline import RunSignals, run_signals
from gradience.core.telemetry.events import TELEMETRY_SCHEMA_VERSION, TrainStep


def _steps(x: Floats, factor: float, count: int) -> Floats:
    return factor ** np.floor(x * count)


DECAYS: Mapping[str, Callable[[Floats], Floats]] = {
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + np.cos(np.pi * x)) / 2,
    "cosine to a tenth": lambda x: 0.1 + 0.45 * (1 + np.cos(np.pi * x)),
    "square": lambda x: (1 - x) ** 2,
    "square root": lambda x: np.sqrt(1 - x),
    "inverse square root": lambda x: (1 + 30 * x) ** -0.5,
    "constant": np.ones_like,
    "stable, then linear": lambda x: np.minimum(1, 5 * (1 - x)),
    "stable, then cosine": lambda x: (1 + np.cos(np.pi * np.maximum(0, 10 * x - 9))) / 2,
    "stable, then 1 - sqrt": lambda x: 1 - np.sqrt(np.maximum(0, 4 * x - 3)),
    "exponential": lambda x: 0.01**x,
    "milestones": lambda x: _steps(x, 0.1, 3),
    "plateaus": lambda x: _steps(x, 0.5, 5),
}


def schedule(name: str, total: int, warm_up: int) -> Floats:
    """The rate at steps 1 to ``total``, peak 1."""
    step = np.arange(1, total + 1)
    decay = DECAYS[name](np.maximum(step - warm_up, 0) / max(total - warm_up, 1))
    return np.where(step <= warm_up, step / max(warm_up, 1), decay)


def rate_signals(steps: Iterable[int], rates: Iterable[float]) -> RunSignals:
    events = [
        TrainStep(schema=TELEMETRY_SCHEMA_VERSION, ts=0.0, run_id="r", step=step, loss=1.0, lr=rate)
        for step, rate in zip(steps, rates, strict=True)
    ]
    return run_signals([build_batch(events)])


class Logged(NamedTuple):
    """A schedule as a run logs it."""

    name: str
    total: int
    warm_share: float
    every: int
    first_logged: bool
    peak: float
    end: float
    repeats: int

    def signals(self) -> RunSignals:
        """What the run's analyzers find."""
        rate = self.peak * schedule(self.name, self.total, int(self.warm_share * self.total))
        steps = np.arange(self.every, self.total + 1, self.every)
        steps = np.unique(np.append(steps, 1)) if self.first_logged else steps
        steps = np.repeat(steps[: int(self.end * steps.size)], self.repeats)
        return rate_signals(steps.tolist(), rate[steps - 1].tolist())


LOGGED = st.builds(
    Logged,
    name=st.sampled_from(sorted(DECAYS)),
    total=st.integers(200, 2000),
    warm_share=st.sampled_from([0.0, 0.01, 0.03, 0.1, 0.3]),
    every=st.sampled_from([1, 2, 5, 10]),
    first_logged=st.booleans(),
    peak=st.sampled_from([5e-7, 2e-5, 2e-4, 1e-3]),
    end=st.floats(0.1, 1.0),
    repeats=st.sampled_from([1, 2]),
)


@given(logged=LOGGED)
def test_schedules_are_silent_however_they_are_logged_and_wherever_they_stop(
    logged: Logged,
) -> None:
    signals = logged.signals()
    assert [*find_lr_discontinuity(signals)] == []
    assert [*find_extreme_lr(signals)] == []


class Jump(NamedTuple):
    """A fault in the rate of a run of so many logged rows."""

    name: str
    rows: int
    place: float
    factor: float
    lasting: bool


JUMPS = st.builds(
    Jump,
    name=st.sampled_from(["linear", "cosine", "cosine to a tenth", "square", "exponential"]),
    rows=st.integers(40, 300),
    place=st.floats(0.1, 0.6),
    factor=st.floats(3, 10) | st.floats(3, 10).map(lambda factor: 1 / factor),
    lasting=st.booleans(),
)


@given(jump=JUMPS)
def test_a_jump_of_the_rate_is_found_where_it_is(jump: Jump) -> None:
    rate = schedule(jump.name, jump.rows, 0)
    row = max(4, int(jump.place * jump.rows))
    assume(rate[row] >= 0.35)
    rate[row : None if jump.lasting else row + 1] *= jump.factor
    steps = (np.arange(jump.rows) + 1) * 10
    (alert,) = find_lr_discontinuity(rate_signals(steps.tolist(), (2e-4 * rate).tolist()))
    assert alert.severity is Severity.WARNING
    # Of a single small rate on a coarsely logged line only the way back stands out.
    assert alert.first_step in steps[row : row + 1 if jump.lasting else row + 2]


@given(rows=st.integers(4, 200), back=st.integers(2, 4), place=st.floats(0.0, 1.0))
def test_steps_that_go_back_are_found_where_they_do(rows: int, back: int, place: float) -> None:
    row = min(max(back, int(place * rows)), rows)
    steps = [*range(1, row + 1), *range(row - back + 1, rows + 1)]
    (alert,) = find_lr_discontinuity(rate_signals(steps, [1e-4] * len(steps)))
    assert (alert.severity, alert.first_step) == (Severity.WARNING, row - back + 1)


@pytest.mark.parametrize("every", [1, 3, 10])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("linear", {}),
        ("cosine", {}),
        ("polynomial", {"power": 2.0}),
        ("constant", {}),
        ("constant_with_warmup", {}),
        ("inverse_sqrt", {}),
        ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
        ("warmup_stable_decay", {"num_decay_steps": 40}),
        ("warmup_stable_decay", {"num_decay_steps": 40, "decay_type": "1-sqrt"}),
        ("cosine_with_restarts", {"num_cycles": 3}),
    ],
)
def test_the_schedulers_of_transformers_are_no_warning(
    name: str, settings: dict[str, object], every: int
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    scheduler = transformers.get_scheduler(
        name,
        optimizer,
        num_warmup_steps=20,
        num_training_steps=200,
        scheduler_specific_kwargs=settings or None,
    )
    rates = []
    for _ in range(200):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    found = [
        *find_lr_discontinuity(rate_signals(range(every, 201, every), rates[every - 1 :: every]))
    ]
    restarts = "restarts" in name
    assert [alert.severity for alert in found] == [Severity.INFO] * restarts
