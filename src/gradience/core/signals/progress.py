"""How far a run has come, how fast it goes and when it will be done.

A pure, deterministic function of the event sequence. Time is what the records' ``ts`` say; where
``run_start.meta["clock"]`` is ``"none"`` they say nothing and no duration is derived from them.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import attrs
import msgspec
import numpy as np

from gradience.core.config.snapshot import ConfigSnapshot
from gradience.core.numbers import quantile, real_number
from gradience.core.signals.analyzer import Analyzer
from gradience.core.signals.batch import NO_STEP, Batch
from gradience.core.signals.step_timing import MOST_STEPS, StepTiming, interrupted, timed
from gradience.core.telemetry.clock import CLOCK, NO_CLOCK
from gradience.core.telemetry.events import Metrics, RunEnd, RunStart

TRAIN_SUMMARY = "train_summary"
"""Kind of the ``metrics`` event that closes a Trainer's run."""

LEAST_INTERVALS = 3
"""Fewer intervals tell no speed: the first one holds compilation and warm-up of caches."""

TOTALS = ("total_steps", "max_steps")
"""Names under which a logged row says how many steps are planned (LLaMA-Factory)."""

TOKEN_COUNTS = ("num_tokens", "num_input_tokens_seen", "total_tokens")
"""Names of running counts of tokens (TRL, the Trainer, LLaMA-Factory)."""

TOKEN_RATES = ("tokens_per_second", "train_tokens_per_second", "throughput")
"""Names of tokens per second over all devices (the Trainer, LLaMA-Factory)."""

SAMPLE_RATES = ("samples_per_second", "train_samples_per_second")

STEP_RATES = ("steps_per_second", "train_steps_per_second", "train_speed(iter/s)")

STEP_TIMES = ("train_speed(s/it)",)
"""Names of seconds per step (ms-swift)."""

_LATEST = frozenset({*TOTALS, *TOKEN_RATES, *SAMPLE_RATES, *STEP_RATES, *STEP_TIMES})

_TOLD = _LATEST | frozenset(TOKEN_COUNTS)


class ProgressSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Extent and speed of a run. ``reason`` says why there is no ``eta_s``."""

    step: int | None = None
    """The latest training step on record."""
    total_steps: int | None = None
    total_from: str | None = None
    """``max_steps`` (configured), ``total_steps`` (logged) or ``epochs`` (worked out)."""
    fraction: float | None = None
    """Of the planned steps, 0 to 1."""
    epoch: float | None = None
    steps_per_s: float | None = None
    """Of late, evaluations and other pauses left out."""
    overall_steps_per_s: float | None = None
    """Over the whole run, evaluations and pauses included; the time before a resume is not."""
    speed_from: str | None = None
    """``time stamps``, or the name of the logged rate."""
    samples_per_s: float | None = None
    samples_from: str | None = None
    """The name of the logged rate, or what the number is worked out from and assumes."""
    tokens_per_s: float | None = None
    tokens_from: str | None = None
    evaluation_s: float = 0.0
    """Seconds spent on evaluations, as far as the time stamps tell."""
    eta_s: float | None = None
    """Seconds from ``last_ts`` to the last planned step, evaluations at their present rate."""
    last_ts: float | None = None
    """Time stamp of the latest training step or evaluation; None where time is not known."""
    reason: str | None = None


class TokenCount(NamedTuple):
    """A running count of tokens at a step."""

    name: str
    step: int
    tokens: float


@attrs.frozen
class ProgressState:
    """What was seen so far."""

    config: ConfigSnapshot | None = None
    timed: bool = True
    ended: bool = False
    step: int = NO_STEP
    epoch: tuple[int, float] | None = None
    """The last step at which an epoch above 0 was logged, and that epoch."""
    timing: StepTiming = StepTiming()
    logged: Mapping[str, float] = attrs.field(factory=dict)
    """The last value of every name that tells a total or a speed, of the training steps."""
    summary: Mapping[str, float] = attrs.field(factory=dict)
    """The same of the closing summary."""
    tokens: tuple[TokenCount, TokenCount] | None = None
    """The first count since the last restart of counting, and the latest."""

    @property
    def latest(self) -> Mapping[str, float]:
        """What the steps logged, and what only the summary did."""
        return {**self.summary, **self.logged}


def training_progress() -> Analyzer[ProgressState, ProgressSignal]:
    """The analyzer of how far a run is and how fast it goes."""
    return Analyzer(ProgressState, _update, _result)


def _update(state: ProgressState, batch: Batch) -> ProgressState:
    position = batch.start
    for place, event in batch.others:
        if isinstance(event, RunStart):
            state = _started(_add(state, batch, position, place), event)
            position = place
    return _add(state, batch, position, batch.stop)


def _started(state: ProgressState, event: RunStart) -> ProgressState:
    has_clock = event.meta.get(CLOCK) != NO_CLOCK
    return attrs.evolve(
        state,
        config=event.config,
        timed=has_clock,
        ended=False,
        timing=interrupted(state.timing),
        tokens=None,
    )


def _add(state: ProgressState, batch: Batch, start: int, stop: int) -> ProgressState:
    """Events without a ``run_start``, or with one at their head, which is dealt with already."""
    part = batch if (start, stop) == (batch.start, batch.stop) else batch.slice(start, stop)
    state = _with_place(state, part)
    state = _with_extras(state, part)
    for _, event in part.others:
        if isinstance(event, Metrics) and event.kind == TRAIN_SUMMARY:
            summary = {**state.summary, **_rates(event.metrics)}
            state = attrs.evolve(state, summary=summary)
        elif isinstance(event, RunEnd):
            state = attrs.evolve(state, ended=True)
    timing = timed(state.timing, part) if state.timed else state.timing
    return attrs.evolve(state, timing=timing)


def _with_place(state: ProgressState, batch: Batch) -> ProgressState:
    """The last step, and the last that has an epoch above zero beside it."""
    if batch.n_steps:
        step, epoch = int(batch.step[-1]), float(batch.epoch.values[-1])
        if step > 0 and epoch > 0 and math.isfinite(epoch):
            return attrs.evolve(state, step=step, epoch=(step, epoch))
    known = np.flatnonzero(batch.step >= 0)
    if not known.size:
        return state
    state = attrs.evolve(state, step=int(batch.step[known[-1]]))
    epochs = batch.epoch.values[known]
    named = np.flatnonzero(np.isfinite(epochs) & (epochs > 0) & (batch.step[known] > 0))
    if not named.size:
        return state
    row = known[named[-1]]
    return attrs.evolve(state, epoch=(int(batch.step[row]), float(batch.epoch.values[row])))


def _with_extras(state: ProgressState, batch: Batch) -> ProgressState:
    if _TOLD.isdisjoint(batch.extra_names):
        return state
    logged, tokens = dict(state.logged), state.tokens
    for _, step, extras in batch.placed_extras():
        if not _LATEST.isdisjoint(extras):
            logged |= _rates(extras)
        name = next((name for name in TOKEN_COUNTS if name in extras), None)
        if name is None or step is None:
            continue
        count = real_number(extras[name])
        if count is not None and math.isfinite(count):
            tokens = _counted(tokens, TokenCount(name, step, count))
    return attrs.evolve(state, logged=logged, tokens=tokens)


def _counted(
    known: tuple[TokenCount, TokenCount] | None, new: TokenCount
) -> tuple[TokenCount, TokenCount]:
    if known is None or new.name != known[1].name:
        return new, new
    restarted = new.step < known[1].step or new.tokens < known[1].tokens
    return (new, new) if restarted else (known[0], new)


def _rates(values: Mapping[str, object]) -> dict[str, float]:
    numbers = {name: real_number(values[name]) for name in _LATEST & values.keys()}
    return {
        name: number
        for name, number in numbers.items()
        if number is not None and math.isfinite(number) and number > 0
    }


class _Speed(NamedTuple):
    recent: float | None = None
    """Steps per second."""
    overall: float | None = None
    source: str | None = None


class _Total(NamedTuple):
    steps: int | None = None
    source: str | None = None


class _Rate(NamedTuple):
    per_s: float | None = None
    source: str | None = None


def _result(state: ProgressState) -> ProgressSignal:
    total, speed = _total(state), _speed(state)
    samples, tokens = _samples(state, speed), _tokens(state, speed)
    step = None if state.step == NO_STEP else state.step
    eta, reason = _eta(state, total, speed)
    done = None if step is None or total.steps is None else min(step / total.steps, 1.0)
    return ProgressSignal(
        step=step,
        total_steps=total.steps,
        total_from=total.source,
        fraction=done,
        epoch=None if state.epoch is None else state.epoch[1],
        steps_per_s=speed.recent,
        overall_steps_per_s=speed.overall,
        speed_from=speed.source,
        samples_per_s=samples.per_s,
        samples_from=samples.source,
        tokens_per_s=tokens.per_s,
        tokens_from=tokens.source,
        evaluation_s=state.timing.evaluation_s,
        eta_s=eta,
        last_ts=None if state.timing.mark is None else state.timing.mark.ts,
        reason=reason,
    )


def _total(state: ProgressState) -> _Total:
    training = None if state.config is None else state.config.training
    configured = None if training is None else training.max_steps
    if configured is not None and 0 < configured <= MOST_STEPS:
        return _Total(configured, "max_steps")
    logged = next((state.latest[name] for name in TOTALS if name in state.latest), None)
    if logged is not None and logged <= MOST_STEPS:
        return _Total(max(1, round(logged)), "total_steps")
    epochs = None if training is None else training.epochs
    if epochs is not None and math.isfinite(epochs) and epochs > 0 and state.epoch is not None:
        step, epoch = state.epoch
        steps = step / epoch * epochs
        if steps <= MOST_STEPS:
            return _Total(max(1, round(steps)), "epochs")
    return _Total()


def _speed(state: ProgressState) -> _Speed:
    overall = (
        state.timing.active_steps / state.timing.active_s
        if _is_rate(state.timing.active_s)
        else None
    )
    overall = overall if _is_rate(overall) else None
    if len(state.timing.recent) >= LEAST_INTERVALS:
        per_step = quantile(state.timing.recent, 0.5)
        if per_step is not None and _is_rate(per_step) and _is_rate(1 / per_step):
            return _Speed(1 / per_step, overall, "time stamps")
    for name in (*STEP_RATES, *STEP_TIMES):
        rate = state.latest.get(name)
        if rate is not None:
            rate = 1 / rate if name in STEP_TIMES else rate
            return _Speed(rate, overall or rate, name)
    return _Speed(None, overall, None if overall is None else "time stamps")


def _is_rate(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _samples(state: ProgressState, speed: _Speed) -> _Rate:
    logged = next((name for name in SAMPLE_RATES if name in state.latest), None)
    if logged is not None:
        return _Rate(state.latest[logged], logged)
    training = None if state.config is None else state.config.training
    if training is None or training.batch_size is None or speed.recent is None:
        return _Rate()
    accumulation, world = training.gradient_accumulation, training.extras.get("world_size")
    devices = world if isinstance(world, int) and world > 0 else None
    per_step = training.batch_size * (accumulation or 1) * (devices or 1)
    if not 0 < per_step <= MOST_STEPS:
        return _Rate()
    source = f"batch {training.batch_size} x accumulation {accumulation or 1} x {devices or 1}"
    assumed = ("" if accumulation else ", no accumulation assumed") + (
        "" if devices else ", one device assumed"
    )
    return _Rate(speed.recent * per_step, source + assumed)


def _tokens(state: ProgressState, speed: _Speed) -> _Rate:
    logged = next((name for name in TOKEN_RATES if name in state.latest), None)
    if logged is not None:
        return _Rate(state.latest[logged], logged)
    if state.tokens is None or speed.recent is None:
        return _Rate()
    first, last = state.tokens
    if last.step <= first.step or last.tokens <= first.tokens:
        return _Rate()
    per_s = (last.tokens - first.tokens) / (last.step - first.step) * speed.recent
    return _Rate(per_s, last.name) if _is_rate(per_s) else _Rate()


def _eta(
    state: ProgressState, total: _Total, speed: _Speed
) -> tuple[float, None] | tuple[None, str]:
    if state.ended:
        return None, "the run has ended"
    if total.steps is None:
        return None, "the number of planned steps is not known"
    if state.step == NO_STEP:
        return None, "no training step was logged"
    if speed.recent is None:
        few = "too few timed steps" if state.timed else "the record tells no time"
        return None, few
    evaluating = (
        state.timing.evaluation_s / state.timing.active_steps if state.timing.active_steps else 0.0
    )
    eta = max(total.steps - state.step, 0) * (1 / speed.recent + evaluating)
    return (eta, None) if math.isfinite(eta) else (None, "the time stamps are out of range")
