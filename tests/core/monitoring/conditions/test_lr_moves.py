"""Moves of a learning rate: what schedules do, and what none does."""

import math
from collections.abc import Callable, Sequence

import pytest

from gradience.core.monitoring.conditions.lr_moves import (
    LrMovePolicy,
    Move,
    MoveKind,
    unexplained_moves,
)
from tests.core.monitoring.conditions.eval_runs import lr_run

PEAK = 2e-4
TOTAL = 60
WARM_UP = 5


def moves(rates: Sequence[float]) -> tuple[Move, ...]:
    return unexplained_moves(lr_run(rates).history, LrMovePolicy())


def warmed(decay: Callable[[float], float]) -> list[float]:
    """A linear warm-up, then a decay over the rest from 0 to 1."""
    rest = TOTAL - WARM_UP
    rising = [PEAK * (row + 1) / WARM_UP for row in range(WARM_UP)]
    return [*rising, *(PEAK * decay((row + 1) / rest) for row in range(rest))]


SCHEDULES: dict[str, list[float]] = {
    "linear": warmed(lambda x: 1 - x),
    "cosine": warmed(lambda x: (1 + math.cos(math.pi * x)) / 2),
    "square": warmed(lambda x: (1 - x) ** 2),
    "square root": warmed(lambda x: math.sqrt(1 - x)),
    "inverse square root": warmed(lambda x: (1 + 11 * x) ** -0.5),
    "constant": warmed(lambda _: 1.0),
    "stable, then linear": warmed(lambda x: min(1.0, 5 * (1 - x))),
    "stable, then 1 - sqrt": warmed(lambda x: 1 - max(0.0, (x - 0.8) / 0.2) ** 0.5),
    "exponential": warmed(lambda x: 0.01**x),
    "milestones": warmed(lambda x: 0.1 ** int(3 * x)),
    "plateaus": warmed(lambda x: 0.5 ** int(7 * x)),
    "to a tenth": warmed(lambda x: 0.1 + 0.9 * (1 - x)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_move_as_they_should(name: str) -> None:
    assert moves(SCHEDULES[name]) == ()


@pytest.mark.parametrize("factor", [3.0, 10.0, 1 / 3, 1 / 10])
@pytest.mark.parametrize("name", ["linear", "cosine", "square", "to a tenth"])
def test_a_lasting_jump_is_found_where_it_is(name: str, factor: float) -> None:
    rates = SCHEDULES[name]
    place = 20
    (move,) = moves([*rates[:place], *(rate * factor for rate in rates[place:])])
    assert (move.kind, move.row) == (MoveKind.JUMP, place)
    assert (move.from_step, move.to_step) == (10 * place, 10 * place + 10)
    assert move.after / move.before == pytest.approx(factor, rel=0.1)


def test_a_single_odd_rate_is_a_jump_there_and_back() -> None:
    rates = [*SCHEDULES["linear"]]
    rates[30] *= 5
    assert [move.row for move in moves(rates)] == [30, 31]


def test_a_rise_from_rest_is_one_but_a_step_down_is_a_milestone() -> None:
    assert [move.kind for move in moves([1e-5] * 10 + [5e-5] * 10)] == [MoveKind.JUMP]
    assert moves([5e-5] * 10 + [1e-5] * 10) == ()


def test_a_step_that_the_loss_scaler_skipped_is_none() -> None:
    warm_up = SCHEDULES["linear"][:WARM_UP]
    assert moves([warm_up[0], *warm_up, warm_up[-1], *SCHEDULES["linear"][WARM_UP:]]) == ()
    assert moves([0.0, 0.0, 0.0, *SCHEDULES["linear"][WARM_UP:]]) == ()


@pytest.mark.parametrize("rows", [6, 12, 30])
@pytest.mark.parametrize("cycles", [2, 3])
def test_the_restarts_of_a_cosine_are_cycles(cycles: int, rows: int) -> None:
    cycle = [PEAK * (1 + math.cos(math.pi * row / rows)) / 2 for row in range(rows)]
    kinds = [move.kind for move in moves(cycle * cycles)]
    assert kinds == [MoveKind.CYCLE] * (cycles - 1)


def test_a_line_that_starts_over_is_a_jump_not_a_cycle() -> None:
    line = [PEAK * (20 - row) / 20 for row in range(20)]
    assert [move.kind for move in moves(line * 2)] == [MoveKind.JUMP]


def test_a_second_warm_up_is_a_cycle() -> None:
    rising = [PEAK * (row + 1) / 20 for row in range(20)]
    triangle = [*rising, *reversed(rising)]
    (move,) = moves(triangle * 2)
    assert move.kind is MoveKind.CYCLE
    assert move.before == min(rising)


def test_missing_rows_are_no_jump() -> None:
    run = lr_run(SCHEDULES["linear"]).history
    assert unexplained_moves(run, LrMovePolicy()) == ()
    thinned = [*SCHEDULES["linear"][:20], *[math.nan] * 20, *SCHEDULES["linear"][40:]]
    assert moves(thinned) == ()


@pytest.mark.parametrize("rates", [[], [1.0], [1e-4, 9e-4, 1e-4], [0.0] * 9, [math.nan] * 9])
def test_too_few_rates_tell_nothing(rates: list[float]) -> None:
    assert moves(rates) == ()


def test_a_jump_in_the_midst_of_a_straight_warm_up_is_one() -> None:
    warm_up = [PEAK * (row + 1) / 40 for row in range(40)]
    (move,) = moves([*warm_up[:20], *(8 * rate for rate in warm_up[20:])])
    assert move.kind is MoveKind.JUMP
    assert (move.before, move.after) == (warm_up[19], 8 * warm_up[20])
    assert moves(warm_up) == ()


def test_a_slight_rise_after_a_fall_begins_anew_though_two_rows_came_before() -> None:
    (move,) = moves([0.0015, 0.001, 0.0014, 0.0012, 0.001, 0.0008, 0.0006, 0.0004])
    assert move.kind is MoveKind.CYCLE
    assert (move.before, move.after) == (0.001, 0.0014)
    assert moves([0.0015, 0.001, 0.00103, 0.00102, 0.001, 0.0008, 0.0006, 0.0004]) == ()
