"""The guard's options."""

import math

import pytest

from gradience.core.errors import ConfigError
from gradience.core.guard.policy import GuardPolicy


def test_the_defaults_are_the_contracts() -> None:
    policy = GuardPolicy()
    assert (policy.snapshot_every, policy.ring_size, policy.grad_threshold) == (100, 5, 100.0)
    assert (policy.cooldown_steps, policy.max_rollbacks, policy.window_steps) == (20, 3, 200)
    assert (policy.steps_back, policy.prune_newer_on_rollback) == (1, True)


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [
        ("snapshot_every", 0, 1),
        ("ring_size", 0, 1),
        ("cooldown_steps", -1, 0),
        ("max_rollbacks", -1, 0),
        ("window_steps", 0, 1),
        ("steps_back", 0, 1),
        ("patience", 0, 1),
        ("patience_with_scaler", 0, 1),
        ("settle_steps", -1, 0),
        ("ring_size", 2.5, 1),
        ("ring_size", True, 1),
    ],
)
def test_an_option_out_of_range_is_named(option: str, value: object, least: int) -> None:
    words = f"guard {option}: expected a whole number of at least {least}, found {value!r}"
    with pytest.raises(ConfigError, match=words):
        GuardPolicy(**{option: value})  # type: ignore[arg-type]  # the values under test


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_a_threshold_that_no_norm_can_be_held_to_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="grad_threshold: expected a number above 0, found"):
        GuardPolicy(grad_threshold=value)


def test_an_infinite_threshold_is_fine() -> None:
    assert GuardPolicy(grad_threshold=math.inf).grad_threshold == math.inf
