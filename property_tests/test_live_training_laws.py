"""Laws of what is seen while a model trains: the fold over steps, spectra of Grams."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradience.core.spectra.grams import GramPolicy, spectrum_of_grams
from gradience.core.spectra.reduction import Route
from gradience.core.training.gradient_watch import (
    Magnitudes,
    StepSight,
    WatchAlert,
    WatchPolicy,
    WatchState,
    after_log,
    logged_fields,
    observe,
)
from property_tests.factors import Factors, dense_values, lora_factors

NORMS = st.one_of(st.floats(0, 1e10), st.sampled_from([math.nan, math.inf]))
POLICY = WatchPolicy(scaler_streak=3, max_alerts=4)


@st.composite
def sights(draw: st.DrawFn) -> list[StepSight]:
    """Steps of one run, with a loss scaler in all or none."""
    count = draw(st.integers(0, 30))
    scale = draw(st.sampled_from([None, 1024.0]))
    grads = st.lists(NORMS, max_size=3)
    return [
        StepSight(
            step=step,
            grads=magnitudes(draw(grads)),
            weights=magnitudes(draw(grads)),
            loss_scale=scale,
        )
        for step in range(count)
    ]


def magnitudes(values: list[float]) -> Magnitudes:
    return Magnitudes([f"m{place}" for place in range(len(values))], values)


def is_bad(found: Magnitudes) -> bool:
    return any(not math.isfinite(value) for value in found.values)


@given(sights(), st.sets(st.integers(0, 29)))
def test_logs_anywhere_change_no_alert_and_lose_no_step(
    seen: list[StepSight], logged_after: set[int]
) -> None:
    whole, parted = WatchState(), WatchState()
    alerts_whole: list[WatchAlert] = []
    alerts_parted: list[WatchAlert] = []
    bad_grads = bad_weights = 0
    for sight in seen:
        whole, found = observe(whole, sight, POLICY)
        alerts_whole += found
        parted, found = observe(parted, sight, POLICY)
        alerts_parted += found
        if sight.step in logged_after:
            fields = logged_fields(parted)
            bad_grads += int(str(fields["nonfinite_grad_steps"]))
            bad_weights += int(str(fields["nonfinite_param_steps"]))
            parted = after_log(parted)
    assert alerts_parted == alerts_whole
    assert bad_grads + parted.bad_grad_steps == sum(is_bad(one.grads) for one in seen)
    assert bad_weights + parted.bad_weight_steps == sum(is_bad(one.weights) for one in seen)


@given(sights())
def test_alerts_are_bounded_and_only_of_bad_steps(seen: list[StepSight]) -> None:
    state, alerts = WatchState(), list[WatchAlert]()
    for sight in seen:
        state, found = observe(state, sight, POLICY)
        assert not found or is_bad(sight.grads) or is_bad(sight.weights)
        alerts += found
    codes = [alert.code for alert in alerts]
    assert all(codes.count(code) <= POLICY.max_alerts for code in set(codes))
    assert bool(alerts) == any(is_bad(one.grads) or is_bad(one.weights) for one in seen)


@given(lora_factors())
def test_what_gram_matrices_tell_is_within_the_tolerance(factors: Factors) -> None:
    a, b = factors
    kept = min(a.shape[0], a.shape[1], b.shape[0])
    found = spectrum_of_grams(a @ a.T, b.T @ b, kept)
    if found is None:
        return
    expected = dense_values(factors)
    assert found.singular_values.shape == (kept,)
    if found.route is Route.ZERO:
        assert not expected.any()
        return
    tolerance = GramPolicy().tolerance
    assert abs(found.singular_values[0] - expected[0]) <= tolerance * expected[0]
    energy, true = np.sum(found.singular_values**2), np.sum(expected**2)
    assert abs(energy - true) <= tolerance * expected[0] ** 2
