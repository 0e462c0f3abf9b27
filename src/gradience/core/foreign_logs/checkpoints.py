"""Which run each of several trainer states belongs to.

A checkpoint's ``log_history`` is what its run had logged until then, so it is the beginning of
every later checkpoint's. Rows that are equal to the last digit, and the same planned length, make
two states one run; a common beginning that is followed by different rows is a resume that went
another way: a branch.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import attrs

from gradience.core.foreign_logs.row_values import is_too_deep, positive
from gradience.core.numbers import counted, real_number

MIN_COMMON_ROWS = 1
"""Equal rows from the start on from which two states are branches of one run: a row holds a step
and a loss to many digits, so that even one that is equal by chance is rare."""


RUN_ID_ENTRY = "gradience"
"""The recorder's entry in ``stateful_callbacks``: file name → the run's id.

Not the callback's class name: under ``restore_callback_states_from_checkpoint`` the Trainer would
replace the user's callback by one made from the checkpoint.
"""


class PlacedState(NamedTuple):
    """A parsed ``trainer_state.json`` and where it was found."""

    place: str
    state: Mapping[str, object]


class RunGroup(NamedTuple):
    """The trainer states of one run."""

    places: tuple[str, ...]
    """Where they are, from the earliest to the latest."""
    latest: str
    """The place of the one that stands for the run: its history holds all the others'."""
    branch_of: str | None
    """The latest place of the run that this one shares its beginning with; None for none."""
    reason: str
    """What decided it, in words."""


@attrs.frozen
class _State:
    place: str
    rows: tuple[object, ...]
    plan: tuple[int | None, float | None]
    step: float


def group_checkpoints(states: Sequence[PlacedState]) -> tuple[RunGroup, ...]:
    """Tells the runs among the checkpoints of a folder apart.

    State A belongs to the run of B where A's ``log_history`` is the beginning of B's (values
    equal, NaN equal to NaN) and ``max_steps`` and ``num_train_epochs`` agree. The longest history
    stands for the run, of equal ones the one in the highest folder. A state without rows belongs
    to a run only where it is the one run of its plan.

    Args:
        states: In any order; the result does not depend on it. Never mutated.

    Returns:
        The runs, ordered by the place of their latest state; empty for no states.
    """
    ordered = sorted(map(_read, states), key=lambda s: (-len(s.rows), -s.step, _depth(s), s.place))
    runs: list[list[_State]] = []
    for state in ordered:
        homes = [run for run in runs if _is_checkpoint_of(state, run[0])]
        ambiguous = not state.rows and len(homes) > 1
        if homes and not ambiguous:
            homes[0].append(state)
        else:
            runs.append([state])
    longest = [run[0] for run in runs]
    groups = [_group(run, longest[:place]) for place, run in enumerate(runs)]
    return tuple(sorted(groups, key=lambda group: group.latest))


def recorded_run_ids(state: Mapping[str, object]) -> frozenset[str]:
    """The ids under which our recorder wrote the run of a state; empty where it did not."""
    callbacks = state.get("stateful_callbacks")
    entry = callbacks.get(RUN_ID_ENTRY) if isinstance(callbacks, Mapping) else None
    ids = entry.values() if isinstance(entry, Mapping) else ()
    return frozenset(value for value in ids if isinstance(value, str))


def common_rows(first: Sequence[object], second: Sequence[object]) -> int:
    """How many rows two histories have in common from the start on."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if not (_is_row(one) and _is_row(other) and _equal(one, other)):
            break
        count += 1
    return count


def _read(placed: PlacedState) -> _State:
    place, state = placed
    rows = state.get("log_history")
    return _State(
        place=place,
        rows=tuple(rows) if isinstance(rows, list) else (),
        plan=(positive(state.get("max_steps")), real_number(state.get("num_train_epochs"))),
        step=real_number(state.get("global_step")) or 0.0,
    )


def _depth(state: _State) -> int:
    """How far down a state lies: the one beside the finished model is above its checkpoints."""
    return state.place.replace("\\", "/").count("/")


def _is_checkpoint_of(state: _State, latest: _State) -> bool:
    if state.plan != latest.plan or len(state.rows) > len(latest.rows):
        return False
    return common_rows(state.rows, latest.rows) == len(state.rows)


def _group(run: Sequence[_State], longer: Sequence[_State]) -> RunGroup:
    latest = run[0]
    earlier = sorted(run, key=lambda s: (len(s.rows), s.step, -_depth(s), s.place))
    places = tuple(state.place for state in earlier)
    parent, shared = _parent(latest, longer)
    return RunGroup(
        places=places,
        latest=latest.place,
        branch_of=None if parent is None else parent.place,
        reason=_reason(run, longer, parent, shared),
    )


def _parent(latest: _State, longer: Sequence[_State]) -> tuple[_State | None, int]:
    """The run with the longest common beginning, and how long that is."""
    best, shared = None, MIN_COMMON_ROWS - 1
    for other in longer:
        count = common_rows(latest.rows, other.rows)
        if other.plan == latest.plan and count > shared:
            best, shared = other, count
    return best, shared


def _reason(
    run: Sequence[_State], longer: Sequence[_State], parent: _State | None, shared: int
) -> str:
    latest = run[0]
    if parent is not None:
        return (
            f"shares its first {counted(shared, 'row')} with {parent.place} and then differs: a "
            "branch, as a resume from a checkpoint writes that went another way"
        )
    if len(run) > 1:
        return (
            f"the histories of {counted(len(run), 'checkpoint')} are the beginning of the "
            f"{counted(len(latest.rows), 'row')} of {latest.place}, of the same planned length"
        )
    if not longer:
        return "no other state has the same history"
    if all(other.plan != latest.plan for other in longer):
        return f"no other state has its planned length ({_planned(latest)})"
    return "its history differs from the others' from the first row on"


def _planned(state: _State) -> str:
    steps, epochs = state.plan
    told = [] if steps is None else [counted(steps, "step")]
    return ", ".join([*told, *([] if epochs is None else [f"{epochs:g} epochs"])]) or "unknown"


def _is_row(value: object) -> bool:
    return not isinstance(value, Mapping) or not is_too_deep(value)


def _equal(first: object, second: object) -> bool:
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        keys = first.keys()
        return keys == second.keys() and all(_equal(first[key], second[key]) for key in keys)
    if isinstance(first, list) and isinstance(second, list):
        pairs = zip(first, second, strict=False)
        return len(first) == len(second) and all(_equal(one, other) for one, other in pairs)
    return isinstance(first, bool) == isinstance(second, bool) and first == second
