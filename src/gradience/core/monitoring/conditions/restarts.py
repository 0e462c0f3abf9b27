"""Rows at which a log shows a restart: the step goes back, or a falling rate jumps up."""

import numpy as np

from gradience.core.signals.batch import NO_STEP, Ints
from gradience.core.signals.history import History

RATE_JUMP = 1.2
"""A falling learning rate that is this many times larger in the next row starts a new schedule
(inferred: the two resumes of one public log jumped by 1.24 and 1.9)."""

MAX_SHARE = 0.02
"""Share of the rows up to which restarts are taken for such (inferred)."""


def restarted_rows(history: History) -> Ints:
    """The first row after each restart, in order.

    Args:
        history: The training steps.

    Returns:
        Row numbers; none at all where every few rows would be one, as where two processes write
        into one log: that is no place where the loss begins anew. A rate that rises from the start
        (warm-up) or stays is no restart; the restarts of a cosine schedule are.
    """
    lr = history.lr.value
    rises = np.zeros(max(lr.size - 1, 0), dtype=np.bool_)
    was_falling = lr[1:-1] < lr[:-2]
    rises[1:] = was_falling & (lr[2:] / RATE_JUMP > lr[1:-1])
    return _rare(np.union1d(_backward(history), np.flatnonzero(rises) + 1), history)


def stepped_back_rows(history: History) -> Ints:
    """The restarts whose step goes back: another run, or the same one from a checkpoint on."""
    return _rare(_backward(history), history)


def follows(restarts: Ints, row: int, within: int) -> bool:
    """Whether a row is a restart, or comes less than ``within`` rows after one."""
    place = int(np.searchsorted(restarts, row, side="right"))
    return place > 0 and row - int(restarts[place - 1]) < within


def _backward(history: History) -> Ints:
    step = history.first_step
    return np.flatnonzero((step[1:] < history.last_step[:-1]) & (step[1:] != NO_STEP)) + 1


def _rare(rows: Ints, history: History) -> Ints:
    return rows if rows.size <= max(1, MAX_SHARE * history.first_step.size) else rows[:0]
