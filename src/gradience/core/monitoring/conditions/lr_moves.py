"""Moves of a learning rate that its schedule does not explain."""

from enum import Enum
from typing import NamedTuple

import attrs
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradience.core.signals.batch import NO_STEP, Floats, Ints, Mask
from gradience.core.signals.history import History


@attrs.frozen(kw_only=True)
class LrMovePolicy:
    """What a schedule does from one logged row to the next, and what none does.

    Warm-up, linear, cosine, polynomial, inverse square root, warm-up-stable-decay, one-cycle and
    constant schedules move smoothly; milestones and plateaus step down between stretches at rest.
    """

    least: float = 0.05
    """Share of the largest rate that a move must have. Two resumes of one published log moved
    by 16 and 40 %; the edge is inferred."""
    outlier: float = 10.0
    """Times the median slope on either side from which on a move is none of its neighbours'
    kind: of the smooth schedules the inverse square root, logged coarsely, comes nearest, with
    4.5."""
    steady_outlier: float = 3.0
    """The same where the slopes on both sides are steady, as on a straight line: none that is
    smooth has such a move."""
    steady: float = 2.0
    """Largest over smallest slope, over the moves on one side, up to which it is steady; at rest it
    is not: a square-root decay begins steeply after one."""
    steady_moves: int = 3
    window: int = 4
    """Moves on either side that are looked at; fewer than ``least_moves`` tell nothing."""
    least_moves: int = 2
    rest: int = 5
    """Moves at rest after which a first rise is no part of a warm-up."""
    bottom: float = 0.3
    """A rise from below this share of the largest rate may begin the next cycle of a schedule
    with restarts …"""
    top: float = 0.8
    """… where it ends above this share."""
    flattened: float = 0.75
    """Last slope over mean slope of a descent, up to which it flattens out as a cosine does (a
    linear one has 1, a cosine logged ten times a cycle 0.65 at most)."""
    shape_moves: int = 8
    """Moves of a descent below which its shape cannot be told: it may be a cosine's."""
    fallen: float = 0.95
    """Share of the largest rate so far below which a rate has fallen; where it rises again by
    ``again`` of that largest, however smoothly, a second warm-up begins, or a schedule that was
    created anew over more steps: no other schedule rises after it fell."""
    again: float = 0.05
    low: float = 0.5
    """Share of its end below which such a rise starts."""
    cycles: int = 2
    """Rises at equal distances, the first one from the start, that make a schedule with
    restarts however coarsely it was logged."""


class MoveKind(Enum):
    """What an unexplained move may be."""

    JUMP = "jump"
    CYCLE = "cycle"
    """The next cycle of a schedule with restarts, or a second warm-up."""


class Move(NamedTuple):
    """A move of the rate between two logged rows."""

    kind: MoveKind
    row: int
    """Row (bucket) of the history after the move."""
    from_step: int
    to_step: int
    before: float
    after: float


@attrs.frozen(eq=False)
class _Rates:
    """The rates at steps that only go forward; shape (n,) each."""

    row: Ints
    step: Ints
    lr: Floats

    @property
    def move(self) -> Floats:
        """Change to the next row, (n - 1,)."""
        return np.diff(self.lr)

    @property
    def slope(self) -> Floats:
        """Change per step."""
        return self.move / np.diff(self.step)


def unexplained_moves(history: History, policy: LrMovePolicy) -> tuple[Move, ...]:
    """The moves of the learning rate that no smooth or stepwise schedule makes.

    Args:
        history: The training steps. Rows that repeat a step or go back are left out.
        policy: What a schedule does.

    Returns:
        The moves in order; none for a rate that was not logged or only a few times.
    """
    rates = _forward_rates(history)
    if rates.lr.size <= 2 * policy.least_moves or rates.lr.max() <= 0:
        return ()
    big = np.abs(rates.move) >= policy.least * rates.lr.max()
    outliers = _outliers(rates, policy)
    sudden = big & (_isolated_rises(rates, policy) | outliers.found)
    sudden &= ~_warms_up(rates, policy) | (outliers.found & outliers.steady)
    found = [_move(rates, int(at), policy) for at in np.flatnonzero(sudden)]
    if _is_periodic(found, rates, policy):
        return tuple(move._replace(kind=MoveKind.CYCLE) for move in found)
    return tuple(found) or _second_rise(rates, policy)


def _second_rise(rates: _Rates, policy: LrMovePolicy) -> tuple[Move, ...]:
    """The first smooth rise after the rate had fallen."""
    top = np.maximum.accumulate(rates.lr)
    fallen = (top > 0) & (rates.lr < policy.fallen * top)
    if not fallen.any():
        return ()
    start = int(np.argmax(fallen))
    lr = rates.lr[start:]
    rise = lr - np.minimum.accumulate(lr) >= policy.again * top[start:]
    if not rise.any():
        return ()
    to = int(np.argmax(rise))
    at = start + int(np.argmin(lr[:to]))
    move = _move(rates, at, policy)
    return (move._replace(kind=MoveKind.CYCLE),)


def _is_periodic(moves: list[Move], rates: _Rates, policy: LrMovePolicy) -> bool:
    """Whether all are rises at equal distances (but for two rows') to tops that do not grow."""
    if len(moves) < policy.cycles or any(move.after < move.before for move in moves):
        return False
    tops = [move.after for move in moves]
    if any(move.before > policy.low * move.after for move in moves) or tops[0] < max(tops):
        return False
    apart = np.diff([0, *(move.to_step for move in moves)])
    return bool(apart.max() - apart.min() <= 2 * np.diff(rates.step).max())


def _forward_rates(history: History) -> _Rates:
    lr, step = history.lr.value, history.last_step
    usable = np.flatnonzero(np.isfinite(lr) & (step != NO_STEP))
    if not usable.size:
        return _Rates(usable, usable, lr[usable])
    before = np.maximum.accumulate(step[usable])[:-1]
    forward = np.append(True, step[usable][1:] > before)
    row = usable[forward]
    return _Rates(row, step[row], lr[row])


def _isolated_rises(rates: _Rates, policy: LrMovePolicy) -> Mask:
    """Rises after the rate fell or rested, that do not go on."""
    move = rates.move
    tiny = policy.least * rates.lr.max()
    rises, holds = move > 0, move <= 0
    before = np.zeros(move.size, dtype=np.bool_)
    before[2:] = holds[1:-1] & holds[:-2]
    after = np.zeros(move.size, dtype=np.bool_)
    after[:-1] = move[1:] < tiny
    after[:-2] &= move[2:] < tiny
    found: Mask = rises & before & after
    return found


def _warms_up(rates: _Rates, policy: LrMovePolicy) -> Mask:
    """Rises before the rate ever fell or rested."""
    fell_before = np.concatenate([[False], np.maximum.accumulate(rates.move < 0)[:-1]])
    found: Mask = (rates.move > 0) & ~fell_before & ~_rested(rates, policy)
    return found


def _rested(rates: _Rates, policy: LrMovePolicy) -> Mask:
    """Where the moves before were all at rest, at a rate above zero."""
    still = (rates.move == 0) & (rates.lr[:-1] > 0)
    found = np.zeros(still.size, dtype=np.bool_)
    if still.size > policy.rest:
        found[policy.rest :] = sliding_window_view(still, policy.rest)[:-1].all(axis=1)
    return found


class _Outliers(NamedTuple):
    """Moves far steeper than those on both sides; shape (n,) each."""

    found: Mask
    steady: Mask
    """Whether both sides are straight lines, which no warm-up has a jump between."""


def _outliers(rates: _Rates, policy: LrMovePolicy) -> _Outliers:
    """Moves far steeper than those on both sides; a step down between two rests is none."""
    slope = np.abs(rates.slope)
    before, after = (_side(windows, policy) for windows in _windows_beside(slope, policy))
    beside = np.fmax(before.median, after.median)
    known = np.isfinite(before.median) & np.isfinite(after.median)
    steady = before.is_steady & after.is_steady
    edge = np.where(steady, policy.steady_outlier, policy.outlier)
    at_rest = beside <= REST * slope
    found: Mask = known & ~at_rest & ~_milestones(rates) & (rates.lr[:-1] != 0)
    found &= slope >= edge * np.where(known, beside, np.inf)
    return _Outliers(found, steady)


def _milestones(rates: _Rates) -> Mask:
    """Steps down between two moves at rest."""
    slope = np.abs(rates.slope)
    rest = REST * slope[1:-1]
    found = np.zeros(slope.size, dtype=np.bool_)
    found[1:-1] = (rates.move[1:-1] < 0) & (slope[:-2] <= rest) & (slope[2:] <= rest)
    return found


REST = 1e-3
"""Slope over that of a move beside it, up to which the rate is at rest: of numbers written with
few digits a rest is not exactly one."""


class _Side(NamedTuple):
    """The moves on one side of each move; shape (n,) each."""

    median: Floats
    """Of their slopes (the lower of two), NaN where they are too few."""
    is_steady: Mask


def _windows_beside(slope: Floats, policy: LrMovePolicy) -> tuple[Floats, Floats]:
    """The slopes before and after each move, (n, window) each; NaN beyond the ends."""
    n, window = slope.size, policy.window
    padded = np.concatenate([np.full(window, np.nan), slope, np.full(window, np.nan)])
    windows = sliding_window_view(padded, window)
    return windows[:n], windows[window + 1 :]


def _side(windows: Floats, policy: LrMovePolicy) -> _Side:
    ordered = np.sort(windows, axis=1)
    count = np.isfinite(windows).sum(axis=1)
    last = np.maximum(count - 1, 0)[:, np.newaxis]
    middle = np.take_along_axis(ordered, last // 2, axis=1)[:, 0]
    largest = np.take_along_axis(ordered, last, axis=1)[:, 0]
    enough = count >= policy.steady_moves
    return _Side(
        median=np.where(count >= policy.least_moves, middle, np.nan),
        is_steady=enough & (largest <= policy.steady * ordered[:, 0]) & (ordered[:, 0] > 0),
    )


def _move(rates: _Rates, at: int, policy: LrMovePolicy) -> Move:
    return Move(
        kind=MoveKind.CYCLE if _begins_a_cycle(rates, at, policy) else MoveKind.JUMP,
        row=int(rates.row[at + 1]),
        from_step=int(rates.step[at]),
        to_step=int(rates.step[at + 1]),
        before=float(rates.lr[at]),
        after=float(rates.lr[at + 1]),
    )


def _begins_a_cycle(rates: _Rates, at: int, policy: LrMovePolicy) -> bool:
    """Whether the rate rises from the bottom to the top after a descent that flattened out."""
    lr, step = rates.lr[: at + 1], rates.step[: at + 1]
    largest = float(lr.max())
    high_enough = rates.lr[at + 1] >= policy.top * largest
    if at < 1 or lr[at] > policy.bottom * largest or not high_enough:
        return False
    top = at - int(np.argmax(lr[::-1] >= policy.top * largest))
    if at - top < policy.shape_moves:
        return at - top > 1
    mean = (lr[top] - lr[at]) / (step[at] - step[top])
    last = (lr[at - 1] - lr[at]) / (step[at] - step[at - 1])
    return bool(last <= policy.flattened * mean)
