"""Severities are ordered; a command fails from a chosen one on."""

from itertools import product

import pytest

from gradience.core.severity import FailOn, Severity

LEVELS = [Severity.INFO, Severity.WARNING, Severity.ERROR, Severity.CRITICAL]


def test_the_order_is_info_warning_error_critical() -> None:
    assert sorted(Severity, key=lambda level: level.order) == LEVELS


def test_at_least_is_the_order() -> None:
    for (i, a), (j, b) in product(enumerate(LEVELS), repeat=2):
        assert a.at_least(b) == (i >= j)


def test_never_is_never_triggered() -> None:
    assert not FailOn.NEVER.triggered_by(tuple(LEVELS))


@pytest.mark.parametrize("fail_on", [FailOn(level.value) for level in LEVELS])
def test_a_level_is_triggered_by_itself_and_above_and_not_below(fail_on: FailOn) -> None:
    place = LEVELS.index(Severity(fail_on.value))
    assert fail_on.triggered_by((LEVELS[place],))
    assert not fail_on.triggered_by(tuple(LEVELS[:place]))
