"""Every quantity that was NaN or infinite, counted by name."""

import math

import pytest

from gradience.core.signals import nonfinite_values as module
from gradience.core.signals.analyzer import fold
from gradience.core.signals.nonfinite_values import NonfiniteCount, nonfinite_values
from gradience.core.telemetry.events import AnyEvent
from tests.core.telemetry.sample_events import batch, evaluation, train_step

NAN, INF = math.nan, math.inf


def counts(*events: AnyEvent) -> tuple[NonfiniteCount, ...]:
    return fold(nonfinite_values(), [batch(*events)]).counts


def test_a_clean_run_has_no_counts() -> None:
    assert counts(train_step(loss=1.0, lr=0.1, grad_norm=2.0), evaluation("t", loss=1.0)) == ()


def test_losses_are_counted_with_first_and_last_step() -> None:
    steps = [train_step(n, loss=loss) for n, loss in enumerate([1.0, NAN, 1.0, INF, 1.0])]
    assert counts(*steps) == (
        NonfiniteCount(name="loss", count=2, logged=5, first_step=1, last_step=3),
    )


def test_the_norm_and_the_rate_are_watched() -> None:
    found = counts(train_step(grad_norm=INF, lr=(0.1, NAN)))
    assert [(count.name, count.count) for count in found] == [("grad_norm", 1), ("lr", 1)]


def test_extras_and_evaluations_are_watched_by_their_full_name() -> None:
    found = counts(
        train_step(3, extras={"kl": NAN, "parts": {"a": [1.0, INF]}}),
        evaluation("test", 7, loss=NAN),
    )
    assert [(count.name, count.first_step) for count in found] == [
        ("eval.test.loss", 7),
        ("kl", 3),
        ("parts.a.1", 3),
    ]


def test_an_extra_named_as_a_column_is_counted_apart() -> None:
    found = counts(train_step(1, extras={"loss": NAN}), train_step(2, loss=NAN))
    assert [(count.name, count.first_step) for count in found] == [("extra_loss", 1), ("loss", 2)]


def test_names_beyond_the_bound_share_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 4)
    found = counts(*[train_step(extras={name: NAN}) for name in "abc"])
    assert [(count.name, count.count) for count in found] == [("a", 1), ("other metrics", 2)]
