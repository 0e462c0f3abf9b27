"""Losses that do not improve, and why little else may be called so."""

import math

import numpy as np
import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.no_learning import NoLearningPolicy, find_no_learning
from gradience.core.severity import Severity
from gradience.core.signals.objective import ObjectiveSignal
from gradience.core.signals.pipeline import RunSignals
from gradience.core.signals.progress import ProgressSignal
from tests.core.monitoring.conditions.training_curves import Numbers, calm, only, signals_of


def alerts(signals: RunSignals) -> list[MonitorAlert]:
    return list(find_no_learning(signals))


def flat(n: int, noise: float = 0.02, level: float = 2.0) -> np.ndarray:
    return level * (1 + noise * np.random.default_rng(7).standard_normal(n))


def test_a_flat_loss_is_a_warning() -> None:
    found = only(alerts(signals_of(flat(100))))
    assert found.severity is Severity.WARNING
    assert found.message.startswith("the training loss did not improve over 100 logged rows: ")
    assert (found.first_step, found.last_step) == (1, 100)
    assert found.source == NoLearningPolicy().source


def test_a_noisier_one_is_an_info_and_a_wild_one_nothing() -> None:
    assert only(alerts(signals_of(flat(2000, 0.15)))).severity is Severity.INFO
    assert alerts(signals_of(flat(2000, 0.4))) == []


def test_a_loss_that_rests_at_ln_2_has_collapsed() -> None:
    wild = 0.7 + 0.2 * np.random.default_rng(1).standard_normal(40)
    found = only(alerts(signals_of(np.concatenate([wild, np.full(160, 0.6932)]))))
    assert "rests at 0.6932: ln 2 = 0.6931 is what guessing" in found.message
    assert found.context["at_chance"] is True


@pytest.mark.parametrize(
    "loss",
    [
        [],
        flat(19),
        calm(100),
        np.linspace(1.29, 1.17, 100),
        np.concatenate([[3.0, 2.5], flat(100)]),
        np.concatenate([flat(50), flat(50, level=1.7)]),
        3 * np.concatenate([flat(50), 2 * flat(50)]),
        flat(100, level=0.01),
        flat(100) - 3,
        np.zeros(100),
    ],
    ids="none few learning slow fast late diverged near-zero negative zero".split(),
)
def test_these_are_none(loss: Numbers) -> None:
    assert [a for a in alerts(signals_of(loss)) if a.severity is Severity.WARNING] == []


def test_nothing_is_learned_in_a_warm_up() -> None:
    rate = np.linspace(1e-6, 1e-4, 60)
    assert alerts(signals_of(flat(60), lr=rate)) == []
    assert alerts(signals_of(flat(120), lr=np.concatenate([rate, rate[::-1]]))) != []


def test_a_continued_run_learned_before() -> None:
    assert alerts(signals_of(flat(100), steps=range(5000, 6000, 10))) == []
    assert alerts(signals_of(flat(100), steps=range(10, 1010, 10))) != []


def test_reinforcement_learning_has_none() -> None:
    assert alerts(signals_of(flat(100), reinforcement=True)) == []


@pytest.mark.parametrize(("fraction", "found"), [(None, 0), (0.3, 0), (1.0, 1)])
def test_few_rows_tell_where_they_are_the_whole_run(fraction: float | None, found: int) -> None:
    signals = signals_of(np.full(10, 1.0987) + 0.0004 * (np.arange(10) % 3))
    signals = signals._replace(progress=ProgressSignal(fraction=fraction))
    assert len(alerts(signals)) == found


@pytest.mark.parametrize(("labels", "classes"), [(True, 3), (True, 10), (False, 3)])
def test_a_loss_that_rests_at_ln_n_has_collapsed_where_labels_are_scored(
    *, labels: bool, classes: int
) -> None:
    fell = np.concatenate([np.linspace(3, math.log(classes), 50), np.full(60, math.log(classes))])
    signals = signals_of(fell)
    signals = signals._replace(objective=ObjectiveSignal(classification=labels))
    found = alerts(signals)
    assert [f": ln {classes} = " in alert.message for alert in found] == [True] * labels


def test_gradient_norms_of_zero_are_told_whatever_the_noise() -> None:
    noisy = flat(60, 0.3)
    found = only(alerts(signals_of(noisy, grad_norm=np.zeros(60))))
    assert found.severity is Severity.WARNING
    assert found.message.startswith("every logged gradient norm is exactly 0 and ")
    assert found.context["dead_gradients"] is True
    assert alerts(signals_of(noisy, grad_norm=np.append(np.zeros(59), 0.1))) == []


def test_a_trainer_that_logs_no_true_gradient_norm_may_still_learn() -> None:
    assert alerts(signals_of(calm(60), grad_norm=np.zeros(60))) == []


def test_what_may_have_been_learned_in_the_first_rows_is_an_info() -> None:
    """Seeds of a fall by a tenth within three rows, and rest at a noise of 6 %."""
    shape = 0.85 + 0.12 * np.exp(-np.arange(60) / 3)
    runs = [shape * (1 + 0.06 * np.random.default_rng(k).standard_normal(60)) for k in range(40)]
    loud = [a for run in runs for a in alerts(signals_of(run)) if a.severity is Severity.WARNING]
    assert len(loud) <= 6


def test_a_loss_that_rises_a_little_is_told() -> None:
    found = only(alerts(signals_of(flat(100) * np.linspace(1, 1.2, 100))))
    assert found.severity is Severity.INFO
