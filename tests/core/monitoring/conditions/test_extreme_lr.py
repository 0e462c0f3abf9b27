"""Extreme learning rates: by absolute bands far out, unless the optimizer has its own scale."""

import pytest

from gradience.core.config.snapshot import ConfigSnapshot, OptimizerSnapshot
from gradience.core.monitoring.conditions.extreme_lr import ExtremeLrPolicy, find_extreme_lr
from gradience.core.severity import Severity
from gradience.core.signals.pipeline import run_signals
from tests.core.monitoring.conditions.eval_runs import lr_run
from tests.core.telemetry.sample_events import batch, run_start, train_step


def optimizer(name: str | None, lr: float | None = None) -> ConfigSnapshot:
    return ConfigSnapshot(optimizer=OptimizerSnapshot(name=name, lr=lr))


@pytest.mark.parametrize(
    ("peak", "severity"), [(5.0, Severity.ERROR), (1.0, Severity.ERROR), (0.03, Severity.WARNING)]
)
def test_a_rate_far_above_any_recipe_is_told_by_its_size(peak: float, severity: Severity) -> None:
    (alert,) = find_extreme_lr(lr_run([peak / 2, peak, peak / 3]))
    assert (alert.severity, alert.code, alert.first_step) == (severity, "extreme_lr", 20)
    assert f"reaches {peak:.3g} (step 20)" in alert.message
    assert "2405.09673" in alert.source
    assert [series.name for series in alert.series] == ["lr", "loss"]


@pytest.mark.parametrize("peak", [9e-3, 5e-4, 1e-5, 5e-7, 2e-8])
def test_rates_of_recipes_are_none(peak: float) -> None:
    assert [*find_extreme_lr(lr_run([peak] * 6))] == []


def test_a_large_rate_at_which_the_loss_falls_is_an_info() -> None:
    (alert,) = find_extreme_lr(lr_run([1.0] * 6, losses=[2.0, 1.8, 1.5, 1.2, 1.0, 0.9]))
    assert alert.severity is Severity.INFO


@pytest.mark.parametrize("name", ["prodigy", "adafactor", "SGD", "DAdaptAdam", "muon"])
def test_an_optimizer_with_a_scale_of_its_own_is_not_judged(name: str) -> None:
    assert [*find_extreme_lr(lr_run([1.0] * 6, config=optimizer(name)))] == []


def test_nor_are_the_methods_that_train_virtual_tokens() -> None:
    config = ConfigSnapshot(extras={"peft_type": "PROMPT_TUNING"})
    assert [*find_extreme_lr(lr_run([0.3] * 6, config=config))] == []


@pytest.mark.parametrize(("rate", "words"), [(1e-10, "at most 1e-10"), (0.0, "is 0 in all 6")])
def test_a_rate_of_next_to_nothing_is_a_warning(rate: float, words: str) -> None:
    (alert,) = find_extreme_lr(lr_run([rate] * 6))
    assert alert.severity is Severity.WARNING
    assert words in alert.message


@pytest.mark.parametrize("rates", [[0.0], [1e-10, 2e-10, 3e-10, 4e-10, 5e-10, 6e-10]])
def test_the_start_of_a_warm_up_is_none(rates: list[float]) -> None:
    assert [*find_extreme_lr(lr_run(rates))] == []


def test_the_configured_rate_is_judged_where_none_was_logged() -> None:
    start = run_start(config=optimizer("adamw_torch", 3.0))
    (alert,) = find_extreme_lr(run_signals([batch(start, train_step(1, loss=1.0))]))
    assert (alert.severity, alert.series) == (Severity.ERROR, ())
    assert "the configured learning rate reaches 3" in alert.message
    assert [*find_extreme_lr(run_signals([batch(train_step(1, loss=1.0))]))] == []


def test_the_thresholds_are_the_policys() -> None:
    assert [*find_extreme_lr(lr_run([5.0] * 6), ExtremeLrPolicy(high=10.0))] == []


def test_a_loss_that_falls_slowly_but_surely_falls() -> None:
    slowly = [3.7 - 0.004 * row for row in range(40)]
    (alert,) = find_extreme_lr(lr_run([0.02] * 40, losses=slowly))
    assert alert.severity is Severity.INFO
    hardly = [3.7 - 0.0004 * row for row in range(40)]
    (alert,) = find_extreme_lr(lr_run([0.02] * 40, losses=hardly))
    assert alert.severity is Severity.WARNING


def test_of_few_rows_a_rate_of_next_to_nothing_is_an_info() -> None:
    (alert,) = find_extreme_lr(lr_run([9e-10, 6e-10, 3e-10]))
    assert alert.severity is Severity.INFO
    assert [*find_extreme_lr(lr_run([9e-10, 6e-10]))] == []


def test_zeros_that_a_broken_step_logs_are_no_fall() -> None:
    (alert,) = find_extreme_lr(lr_run([2.0] * 20, losses=[1e10, *[0.0] * 19]))
    assert alert.severity is Severity.ERROR
