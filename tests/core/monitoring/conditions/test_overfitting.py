"""Overfitting: an evaluation loss that rises clearly and lastingly while training goes on."""

import math

import pytest

from gradience.core.monitoring.alert import MonitorAlert
from gradience.core.monitoring.conditions.overfitting import OverfittingPolicy, find_overfitting
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from tests.core.monitoring.conditions.eval_runs import FALLING, eval_events, eval_run
from tests.core.telemetry.sample_events import batch, evaluation, train_step

RISES = (0.9, 0.6, 0.5, 0.55, 0.6, 0.65, 0.7)


def only(found: list[MonitorAlert]) -> MonitorAlert:
    (alert,) = found
    assert alert.code == "overfitting"
    return alert


def test_a_lasting_rise_while_training_falls_is_a_warning_with_the_numbers() -> None:
    alert = only([*find_overfitting(eval_run(RISES))])
    assert alert.severity is Severity.WARNING
    assert (alert.first_step, alert.last_step) == (300, 700)
    assert (alert.context["best_step"], alert.context["best_loss"]) == (300, 0.5)
    assert alert.context["rise_share"] == pytest.approx(0.3)
    assert "best at step 300 (0.5)" in alert.message
    assert "stands 30 % above it" in alert.message
    losses, train = alert.series
    assert (losses.name, losses.value) == ("eval_loss", RISES)
    assert train.name == "train_loss_smoothed"
    assert len(train.value) == len(RISES)


@pytest.mark.parametrize(
    "losses",
    [
        (0.9, 0.6, 0.5, 0.48, 0.47),
        (0.9, 0.6, 0.5, 0.505, 0.508, 0.51),
        (0.9, 0.5, 0.6, 0.52, 0.505, 0.5),
        (0.5, 0.5, 0.5, 0.5),
        (0.5,),
        (0.002, 0.0021, 0.0022, 0.0022),
    ],
    ids=["falls", "hardly rises", "comes back", "rests", "one evaluation", "near zero"],
)
def test_a_loss_that_does_not_rise_for_good_is_none(losses: tuple[float, ...]) -> None:
    assert [*find_overfitting(eval_run(losses))] == []


def test_a_rise_from_the_first_of_few_evaluations_is_found() -> None:
    assert only([*find_overfitting(eval_run((0.32, 0.36, 0.4)))]).severity is Severity.WARNING


@pytest.mark.parametrize(
    ("losses", "train"),
    [
        ((0.6, 0.5, 0.6), FALLING),
        ((0.6, 0.5, 0.52, 0.53, 0.53), FALLING),
        ((0.0050, 0.0040, 0.0050, 0.0055, 0.0060), FALLING),
        (RISES, None),
    ],
    ids=["one evaluation after the best", "slight", "of no consequence", "no training loss"],
)
def test_what_is_less_clear_is_an_info(
    losses: tuple[float, ...], train: tuple[float, float] | None
) -> None:
    assert only([*find_overfitting(eval_run(losses, train))]).severity is Severity.INFO


def test_where_the_training_loss_rises_too_it_is_no_overfitting() -> None:
    assert [*find_overfitting(eval_run(RISES, train=(0.4, 0.6)))] == []


def test_a_training_loss_far_below_has_nothing_left_to_fall() -> None:
    alert = only([*find_overfitting(eval_run(RISES, train=(0.001, 0.0011)))])
    assert alert.severity is Severity.WARNING


def test_the_noise_of_the_evaluations_is_no_rise() -> None:
    noisy = (0.9, 0.6, 0.66, 0.55, 0.67, 0.56, 0.68, 0.57, 0.66, 0.62)
    alerts = [*find_overfitting(eval_run(noisy))]
    assert all(alert.severity is Severity.INFO for alert in alerts)


def test_a_loss_that_swings_widely_is_told_as_that() -> None:
    swings = (0.3, 0.5, 0.3, 0.55, 0.28, 0.5, 0.3, 0.5, 0.5, 0.5)
    alerts = [*find_overfitting(eval_run(swings))]
    assert all(alert.severity is Severity.INFO for alert in alerts)


def test_the_training_split_is_not_judged() -> None:
    assert [*find_overfitting(eval_run(RISES, split="train"))] == []


def test_of_several_unnamed_sets_one_info_names_all_that_rise() -> None:
    events = [e for split in ("a", "b") for e in eval_events(RISES, FALLING, split)]
    flat = eval_events((0.5,) * len(RISES), FALLING, "c")
    alert = only([*find_overfitting(run_signals([batch(*events, *flat)]))])
    assert alert.severity is Severity.INFO
    assert alert.context["splits"] == ["a", "b"]
    assert "so do b" in alert.message
    assert "none is named as the held-out one" in alert.message


def test_a_named_split_among_several_is_judged_as_the_only_one() -> None:
    events = [e for split in ("other", "test") for e in eval_events(RISES, FALLING, split)]
    alert = only([*find_overfitting(run_signals([batch(*events)]))])
    assert (alert.severity, alert.context["split"]) == (Severity.WARNING, "test")
    assert "the loss on 'test'" in alert.message


def test_preference_learning_is_an_info_and_reinforcement_learning_nothing() -> None:
    events = eval_events(RISES)
    dpo = train_step(1, extras={"rewards/chosen": 1.0})
    assert only([*find_overfitting(run_signals([batch(dpo, *events)]))]).severity is Severity.INFO
    grpo = train_step(1, extras={"reward_std": 1.0})
    assert [*find_overfitting(run_signals([batch(grpo, *events)]))] == []


def test_evaluations_that_are_not_finite_or_repeated_are_left_out() -> None:
    events = eval_events(RISES)
    odd = [evaluation("eval", 750, loss=math.nan), evaluation("eval", 700, loss=RISES[-1])]
    alert = only([*find_overfitting(run_signals([batch(*events, *odd)]))])
    assert alert.series[0].value == RISES


def test_the_thresholds_are_the_policys() -> None:
    strict = OverfittingPolicy(rise=0.5)
    assert only([*find_overfitting(eval_run(RISES), strict)]).severity is Severity.INFO
    assert [*find_overfitting(eval_run(RISES), OverfittingPolicy(noise=1e6))] != []
    deaf = OverfittingPolicy(slight_rise=0.5, tiny_rise=0.5)
    assert [*find_overfitting(eval_run(RISES), deaf)] == []


@pytest.mark.parametrize(
    ("losses", "severity"),
    [((0.30, 0.33, 0.41, 0.48), Severity.WARNING), ((0.40, 0.41, 0.55), Severity.INFO)],
)
def test_a_loss_that_rises_faster_and_faster_lasts_though_it_began_slowly(
    losses: tuple[float, ...], severity: Severity
) -> None:
    assert only([*find_overfitting(eval_run(losses))]).severity is severity


@pytest.mark.parametrize(
    ("losses", "severity"),
    [
        ((0.599, 0.601, 0.81, 0.787, 0.861), Severity.WARNING),
        ((0.5, 0.8, 0.72, 0.85), Severity.INFO),
        ((0.9, 0.5, 0.8, 0.7, 0.8), Severity.INFO),
    ],
)
def test_among_few_evaluations_a_step_up_is_no_noise(
    losses: tuple[float, ...], severity: Severity
) -> None:
    assert only([*find_overfitting(eval_run(losses))]).severity is severity


@pytest.mark.parametrize(
    "losses", [(0.6, 0.82, 0.61, 0.84, 0.86), (0.6, 0.62, 0.81, 0.86), (0.5, 0.7, 0.55, 0.68, 0.6)]
)
def test_noise_about_a_step_needs_all_after_it_above_and_three_of_them(
    losses: tuple[float, ...],
) -> None:
    wide = OverfittingPolicy(shifted=1e9)
    assert [*find_overfitting(eval_run(losses))] == [*find_overfitting(eval_run(losses), wide)]
