"""The fold over steps: counts, streaks and what is said."""

import math

import pytest

from gradience.core.severity import Severity
from gradience.core.telemetry.text_policy import TextPolicy
from gradience.core.training.gradient_watch import (
    LOCAL_NORM,
    Magnitudes,
    StepSight,
    WatchAlert,
    WatchPolicy,
    WatchState,
    after_log,
    gradient_norm,
    logged_fields,
    observe,
)

NAN, INF = math.nan, math.inf


def sight(
    step: int,
    *grads: float,
    weights: tuple[float, ...] = (1.0,),
    loss_scale: float | None = None,
) -> StepSight:
    return StepSight(
        step=step,
        grads=Magnitudes([f"g{place}" for place in range(len(grads))], grads),
        weights=Magnitudes([f"w{place}" for place in range(len(weights))], weights),
        loss_scale=loss_scale,
    )


def fold(
    sights: list[StepSight], policy: WatchPolicy | None = None
) -> tuple[WatchState, list[WatchAlert]]:
    state = WatchState()
    said: list[WatchAlert] = []
    for one in sights:
        state, alerts = observe(state, one, policy)
        said += alerts
    return state, said


def steps(alerts: list[WatchAlert]) -> list[object]:
    return [alert.context["step"] for alert in alerts]


def test_the_norm_is_of_all_parameters_without_the_scalers_factor() -> None:
    assert gradient_norm(sight(1, 3.0, 4.0)) == 5.0
    assert gradient_norm(sight(1, 3.0, 4.0, loss_scale=2.0)) == 2.5
    assert gradient_norm(sight(1)) is None


def test_healthy_steps_are_silent_and_logged() -> None:
    state, alerts = fold([sight(1, 3.0, 4.0), sight(2, 1.0)])
    assert alerts == []
    assert logged_fields(state) == {
        "grad_norm_preclip": 1.0,
        "grad_norm_preclip_max": 5.0,
        "nonfinite_grad_steps": 0,
        "nonfinite_param_steps": 0,
    }


def test_bad_steps_are_counted_and_finite_norms_kept() -> None:
    state, _ = fold([sight(1, 2.0), sight(2, NAN), sight(3, INF, weights=(NAN,))])
    fields = logged_fields(state, LOCAL_NORM)
    assert fields == {
        "grad_norm_local": 2.0,
        "grad_norm_local_max": 2.0,
        "nonfinite_grad_steps": 2,
        "nonfinite_param_steps": 1,
    }


def test_without_a_finite_gradient_no_norm_is_logged() -> None:
    state, _ = fold([sight(1, NAN)])
    assert logged_fields(state) == {"nonfinite_grad_steps": 1, "nonfinite_param_steps": 0}
    assert logged_fields(WatchState()) == {}


def test_a_log_clears_the_counts_and_not_the_streak() -> None:
    state, _ = fold([sight(1, NAN)])
    cleared = after_log(state)
    assert logged_fields(cleared) == {}
    _, alerts = observe(cleared, sight(2, NAN))
    assert alerts == ()


def test_one_alert_for_each_streak_at_its_first_step() -> None:
    bad = {2, 3, 4, 7}
    sights = [sight(step, NAN if step in bad else 1.0) for step in range(1, 9)]
    _, alerts = fold(sights)
    assert steps(alerts) == [2, 7]
    assert {alert.severity for alert in alerts} == {Severity.WARNING}
    assert "step 2: NaN or infinite gradients in 1 module. Look at" in alerts[0].message
    assert "logging_nan_inf_filter" in alerts[0].message


def test_weights_are_an_error_and_both_can_come_at_once() -> None:
    _, alerts = fold([sight(5, INF, weights=(1.0, NAN))])
    found = [(alert.code, alert.severity) for alert in alerts]
    assert found == [
        ("nonfinite_gradients", Severity.WARNING),
        ("nonfinite_parameters", Severity.ERROR),
    ]
    assert alerts[1].context == {"step": 5, "count": 1, "n_modules": 1, "modules": ["w1"]}
    assert "after step 5: NaN or infinite weights in 1 module. Training" in alerts[1].message
    assert "last checkpoint" in alerts[1].message


def test_a_skipped_step_of_a_loss_scaler_is_an_info() -> None:
    _, alerts = fold([sight(1, INF, loss_scale=65536.0)])
    (alert,) = alerts
    assert alert.severity is Severity.INFO
    assert alert.context["loss_scale"] == 65536.0
    assert "the loss scaler skips the step" in alert.message


def test_a_streak_beyond_what_scaling_explains_is_a_warning() -> None:
    sights = [sight(step, NAN, loss_scale=2.0 ** (17 - step)) for step in range(1, 25)]
    _, alerts = fold(sights)
    assert steps(alerts) == [1, 17]
    assert [alert.severity for alert in alerts] == [Severity.INFO, Severity.WARNING]
    assert alerts[1].context["count"] == 17
    assert "17 steps in a row" in alerts[1].message


def test_few_modules_are_named_each_once() -> None:
    modules = [f"m{place // 2}" for place in range(16)]
    seen = StepSight(step=1, grads=Magnitudes(modules, [NAN] * 16))
    _, (alert,) = observe(WatchState(), seen)
    assert alert.context["n_modules"] == 8
    assert alert.context["modules"] == ["m0", "m1", "m2", "m3", "m4"]
    assert "gradients in 8 modules." in alert.message


def test_alerts_of_a_run_are_bounded_and_steps_still_counted() -> None:
    bad = [sight(step, NAN if step % 2 else 1.0) for step in range(40)]
    state, alerts = fold(bad, WatchPolicy(max_alerts=3))
    assert len(alerts) == 3
    assert state.bad_grad_steps == 20


@pytest.mark.parametrize("loss_scale", [None, 1.0])
def test_messages_are_short_enough_for_telemetry(loss_scale: float | None) -> None:
    modules = [f"model.layers.{place}." + "name" * 30 for place in range(999)]
    bad = Magnitudes(modules, [NAN] * 999)
    sights = [
        StepSight(step=10**12 + step, grads=bad, weights=bad, loss_scale=loss_scale)
        for step in range(20)
    ]
    _, alerts = fold(sights)
    assert len(alerts) == (2 if loss_scale is None else 3)
    assert max(len(alert.message) for alert in alerts) <= TextPolicy().max_str_len


def test_values_without_a_module_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        Magnitudes(["a"], [1.0, 2.0]).nonfinite()
