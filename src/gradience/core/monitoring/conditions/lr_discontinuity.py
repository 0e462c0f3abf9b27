"""Discontinuity: the learning rate or the step count jumps, as after a resume or a restart."""

from collections.abc import Iterator

import attrs
import numpy as np

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.lr_moves import (
    LrMovePolicy,
    Move,
    MoveKind,
    unexplained_moves,
)
from gradience.core.monitoring.conditions.robust import median
from gradience.core.monitoring.conditions.series import alert_series
from gradience.core.numbers import counted
from gradience.core.severity import Severity
from gradience.core.signals.batch import NO_STEP, Ints, Mask
from gradience.core.signals.history import History
from gradience.core.signals.pipeline import RunSignals

SOURCE = (
    "inferred from resumes that lost their adapter or their schedule (huggingface/lerobot#3459, "
    "huggingface/transformers#29383, tloen/alpaca-lora#72)"
)

SCHEDULER = "lr_scheduler_type"
"""Name, in the training part's extras, of the schedule."""

CYCLIC = ("restart", "cycl")
"""Parts of the names of schedules that rise again by design."""

RESTARTING = "relora"
"""The kind of fine-tuning that restarts its schedule by design."""


@attrs.frozen(kw_only=True)
class LrDiscontinuityPolicy:
    """What counts as a jump of the rate or of the step count."""

    moves: LrMovePolicy = LrMovePolicy()
    adaptive: float = 0.2
    """Share of the logged rows at which a rate jumps from which on it follows no schedule but
    an optimizer of its own mind: info (inferred)."""
    least_adaptive: int = 5
    """Jumps that such a rate has at least."""
    least_rows_sure: int = 8
    """Rows with a rate from which on a jump is a warning: of fewer a schedule's shape is a
    guess."""
    gap: float = 20.0
    """Times the usual distance of logged steps from which on steps are missing: info
    (inferred)."""
    least_rows: int = 6
    """Rows from which on there is a usual distance."""


def find_lr_discontinuity(
    signals: RunSignals, policy: LrDiscontinuityPolicy = LrDiscontinuityPolicy()
) -> Iterator[MonitorAlert]:
    """Jumps of the learning rate or of the step count.

    Args:
        signals: What the analyzers found. A declared resume has taken back what it repeats, so
            steps go back only where the record says nothing of one.
        policy: The thresholds.

    Yields:
        At most one alert, ``lr_discontinuity``: a warning where steps go backward or the rate
        jumps outside what a schedule does; an info where only the cycles of a schedule with
        restarts begin, where the rate follows no schedule at all, or where steps are missing.
        Nothing where the configuration names a schedule that restarts and the rate does that.
    """
    history = signals.history
    back = _backward_rows(history)
    moves = unexplained_moves(history, policy.moves)
    jumps = [move for move in moves if move.kind is MoveKind.JUMP]
    cycles = [move for move in moves if move.kind is MoveKind.CYCLE]
    cyclic = _is_cyclic(signals)
    adaptive = len(moves) >= max(policy.least_adaptive, policy.adaptive * history.first_step.size)
    said: list[str] = []
    if back.size:
        said.append(_said_of_steps(history, back))
    if jumps and not cyclic:
        said.append(_said_of_jumps(jumps, signals, adaptive=adaptive))
    enough = signals.learning_rate.n >= policy.least_rows_sure
    sure = bool(back.size) or (bool(jumps) and enough and not cyclic and not adaptive)
    if cycles and not cyclic:
        said.append(_said_of_cycles(cycles))
    missing = _gaps(history, policy)
    if missing.size:
        said.append(_said_of_gaps(history, missing))
    if said:
        shown = [] if cyclic else moves
        rows = sorted({*back.tolist(), *missing.tolist(), *(move.row for move in shown)})
        severity = Severity.WARNING if sure else Severity.INFO
        context = _context(jumps, back)
        yield _alert(history, severity, "; ".join(said), rows, context)


def _is_cyclic(signals: RunSignals) -> bool:
    config = signals.run.config
    if config is None:
        return False
    name = str(config.training.extras.get(SCHEDULER, "")).lower()
    relora = config.extras.get("finetuning") == RESTARTING
    return relora or any(word in name for word in CYCLIC)


def _backward_rows(history: History) -> Ints:
    """Rows whose step lies before that of the row before."""
    known = np.flatnonzero((history.first_step != NO_STEP) & (history.last_step != NO_STEP))
    back: Mask = history.first_step[known[1:]] < history.last_step[known[:-1]]
    rows: Ints = known[1:][back]
    return rows


def _gaps(history: History, policy: LrDiscontinuityPolicy) -> Ints:
    """Rows before which far more steps lie than usual; not the first, which may be logged early."""
    known = np.flatnonzero((history.first_step != NO_STEP) & (history.last_step != NO_STEP))
    if known.size < policy.least_rows:
        return known[:0]
    apart = history.first_step[known[1:]] - history.last_step[known[:-1]]
    usual = median(apart[apart > 0].astype(np.float64))
    wide: Mask = apart >= policy.gap * max(usual, 1.0)
    wide[0] = False
    rows: Ints = known[1:][wide]
    return rows if np.isfinite(usual) else rows[:0]


def _said_of_steps(history: History, back: Ints) -> str:
    row = int(back[0])
    before = history.last_step[:row]
    step, repeated = int(history.first_step[row]), int(before[before != NO_STEP][-1])
    times = "once" if back.size == 1 else f"{back.size} times"
    what = (
        "a resume or restart that the record does not declare, or several runs in one log"
        if back.size == 1
        else "resumes or restarts that the record does not declare, or several processes or runs "
        "writing into one log"
    )
    return f"the step count goes backward {times}, first from {repeated} to {step}: {what}"


def _said_of_jumps(jumps: list[Move], signals: RunSignals, *, adaptive: bool) -> str:
    first = max(jumps, key=lambda move: abs(move.after - move.before))
    times = f" (x {first.after / first.before:.3g})" if first.before > 0 else ""
    said = (
        f"the learning rate jumps from {first.before:.3g} to {first.after:.3g}{times} between "
        f"steps {first.from_step} and {first.to_step}"
    )
    said += f", the largest of {counted(len(jumps), 'jump')}" if len(jumps) > 1 else ""
    if adaptive:
        return f"{said}: it follows no schedule; does the optimizer set its rate itself?"
    resumed = {first.from_step, first.to_step}.intersection(signals.run.resumed_from_steps)
    if resumed:
        return f"{said}, at the resume from step {min(resumed)}: its schedule was created anew"
    return (
        f"{said}, which its schedule does not explain: a resume that created the schedule anew, "
        "a restart, or two runs in one log"
    )


def _said_of_cycles(cycles: list[Move]) -> str:
    at = ", ".join(str(move.to_step) for move in cycles[:MAX_NAMED])
    more = " …" if len(cycles) > MAX_NAMED else ""
    return (
        f"the learning rate rises again from step {at}{more}: a schedule with restarts, or a new "
        "run with its own warm-up?"
    )


MAX_NAMED = 5
"""Steps that a message names."""


def _said_of_gaps(history: History, rows: Ints) -> str:
    row = int(rows[0])
    before = history.last_step[:row]
    last, step = int(before[before != NO_STEP][-1]), int(history.first_step[row])
    more = f" (and {counted(rows.size - 1, 'more gap')})" if rows.size > 1 else ""
    return f"no step was logged between {last} and {step}{more}"


def _context(jumps: list[Move], back: Ints) -> dict[str, object]:
    return {
        "backward_steps": int(back.size),
        "lr_jumps": len(jumps),
        "jumps": [
            {"from_step": m.from_step, "to_step": m.to_step, "before": m.before, "after": m.after}
            for m in jumps[:MAX_NAMED]
        ],
    }


def _alert(
    history: History,
    severity: Severity,
    message: str,
    rows: list[int],
    context: dict[str, object],
) -> MonitorAlert:
    steps = [int(history.first_step[row]) for row in rows]
    return MonitorAlert(
        severity=severity,
        code="lr_discontinuity",
        message=message,
        first_step=min(steps),
        last_step=max(steps),
        context=context,
        series=alert_series(history, "lr", first_row=rows[0], last_row=rows[-1]),
        source=SOURCE,
    )
