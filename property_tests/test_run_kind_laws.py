"""Laws of all alerts together, on kinds of runs as people publish them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.alerts import find_alerts
from gradience.core.monitoring.policy import MonitorPolicy
from gradience.core.monitoring.run_gap import run_gap
from gradience.core.severity import Severity
from property_tests.run_kinds import KINDS, ONE_EVENT

SEEDS = st.integers(0, 2**32 - 1)
ABOUT_THE_RECORD = {"run_unfinished", "gap_unavailable"}


def alerts(kind: str, seed: int) -> tuple[MonitorAlert, ...]:
    signals = KINDS[kind].draw(np.random.default_rng(seed))
    return find_alerts(signals, run_gap(signals), MonitorPolicy())


def loud(found: tuple[MonitorAlert, ...]) -> set[str]:
    return {alert.code for alert in found if alert.severity.at_least(Severity.WARNING)}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS)
def test_every_kind_is_told_as_a_careful_reader_would(kind: str, seed: int) -> None:
    found = alerts(kind, seed)
    label = KINDS[kind]
    assert label.must <= {alert.code for alert in found}
    assert loud(found) <= label.must | label.may


@pytest.mark.parametrize("kind", ONE_EVENT)
@given(seed=SEEDS)
def test_one_event_is_loud_once(kind: str, seed: int) -> None:
    assert loud(alerts(kind, seed)) == set(ONE_EVENT[kind].split())


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS)
def test_what_is_told_has_words_a_source_and_points_to_plot(kind: str, seed: int) -> None:
    for alert in alerts(kind, seed):
        assert alert.message
        assert "%" not in alert.message.replace(" %", "")
        json.dumps(dict(alert.context), allow_nan=False)
        if alert.code not in ABOUT_THE_RECORD:
            assert alert.source
            assert alert.series
