"""Unstable evaluation: a loss that swings without trend."""

import numpy as np
import pytest

from gradience.core.monitoring.conditions.unstable_eval import (
    UnstableEvalPolicy,
    find_unstable_eval,
    turning_points,
)
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from tests.core.monitoring.conditions.eval_runs import eval_events, eval_run
from tests.core.telemetry.sample_events import batch, train_step

SWINGS = (0.28, 0.21, 0.29, 0.24, 0.28, 0.22, 0.43, 0.32, 0.31, 0.39, 0.26, 0.28)


def test_many_wide_swings_are_a_warning_with_the_numbers() -> None:
    (alert,) = find_unstable_eval(eval_run(SWINGS))
    assert (alert.severity, alert.code) == (Severity.WARNING, "unstable_eval")
    assert "between 0.21 and 0.43" in alert.message
    assert alert.context["median"] == pytest.approx(0.28)
    assert alert.context["largest_swing"] == pytest.approx(0.43 - 0.21)
    assert alert.series[0].value == SWINGS


def test_few_or_slight_swings_are_an_info() -> None:
    (alert,) = find_unstable_eval(eval_run((0.5, 0.4, 0.5, 0.41, 0.5, 0.5)))
    assert alert.severity is Severity.INFO


@pytest.mark.parametrize(
    "losses",
    [
        (0.5, 0.49, 0.5, 0.48, 0.49, 0.5),
        (3.0, 1.0, 0.5, 0.4, 0.35, 0.3, 0.3),
        (0.2, 0.3, 0.22, 0.34, 0.27, 0.4, 0.35, 0.5, 0.42, 0.6),
        (0.2, 0.4, 0.2),
        (0.002, 0.004, 0.002, 0.004, 0.002, 0.004),
        (),
    ],
    ids=["hardly swings", "descends", "rises with noise", "few", "near zero", "none"],
)
def test_other_evaluations_are_none(losses: tuple[float, ...]) -> None:
    assert [*find_unstable_eval(eval_run(losses))] == []


def test_of_several_unnamed_sets_it_is_an_info_that_names_them() -> None:
    events = [e for split in ("a", "b") for e in eval_events(SWINGS, split=split)]
    (alert,) = find_unstable_eval(run_signals([batch(*events)]))
    assert alert.severity is Severity.INFO
    assert alert.context["splits"] == ["b", "a"]


def test_the_losses_of_reinforcement_learning_are_not_judged() -> None:
    grpo = train_step(1, extras={"reward_std": 1.0})
    assert [*find_unstable_eval(run_signals([batch(grpo, *eval_events(SWINGS))]))] == []


def test_the_thresholds_are_the_policys() -> None:
    patient = UnstableEvalPolicy(swings=20, few_swings=20)
    assert [*find_unstable_eval(eval_run(SWINGS), patient)] == []


@pytest.mark.parametrize(
    ("values", "least", "turns"),
    [
        ([], 1.0, ()),
        ([1.0], 1.0, (0,)),
        ([0.0, 1.0, 0.0], 1.0, (0, 1, 2)),
        ([0.0, 1.0, 0.5, 2.0, 0.0], 1.0, (0, 3, 4)),
        ([2.0, 1.9, 0.0, 0.1, 2.0], 1.0, (0, 2, 4)),
        ([0.5, 0.0, 3.0, 2.9, 3.1, 0.0], 1.0, (1, 4, 5)),
        ([1.0, 1.1, 1.0, 1.1], 1.0, (0,)),
    ],
)
def test_turning_points_are_the_ends_of_the_swings(
    values: list[float], least: float, turns: tuple[int, ...]
) -> None:
    assert turning_points(np.array(values), least) == turns
