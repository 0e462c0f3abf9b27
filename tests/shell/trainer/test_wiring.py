"""Each setting switches its part on, and wrong ones are refused before a run begins."""

import pytest

from gradience.core.errors import ConfigError
from gradience.shell.trainer.gradient_watch import GradientWatch
from gradience.shell.trainer.guard_part import GuardPart
from gradience.shell.trainer.settings import GradienceCallbackConfig
from gradience.shell.trainer.spectra_in_flight import SpectraInFlight
from gradience.shell.trainer.wiring import parts_of


def _kinds(**settings: object) -> list[type]:
    config = GradienceCallbackConfig(**settings)  # type: ignore[arg-type]  # settings of many types
    return [type(part) for part in parts_of(config)]


def test_by_default_gradients_are_watched_and_nothing_else() -> None:
    assert _kinds() == [GradientWatch]


def test_everything_can_be_off() -> None:
    assert _kinds(watch_gradients=False) == []


def test_the_watch_sees_gradients_before_the_guard_takes_them() -> None:
    assert _kinds(enable_guard=True, spectra_every=10) == [
        GradientWatch,
        GuardPart,
        SpectraInFlight,
    ]


def test_every_training_has_parts_of_its_own() -> None:
    config = GradienceCallbackConfig(enable_guard=True)
    first, second = parts_of(config), parts_of(config)
    assert not {id(part) for part in first} & {id(part) for part in second}


def test_the_guards_options_reach_its_policy() -> None:
    config = GradienceCallbackConfig(
        enable_guard=True,
        guard_snapshot_every=7,
        guard_ring_size=2,
        guard_grad_threshold=3.5,
        guard_cooldown_steps=4,
        guard_max_rollbacks=1,
        guard_window_steps=9,
        guard_steps_back=2,
        guard_prune_newer_on_rollback=False,
        guard_patience=1,
    )
    guard = parts_of(config)[1]
    assert isinstance(guard, GuardPart)
    found = guard.policy
    assert (found.snapshot_every, found.ring_size, found.grad_threshold) == (7, 2, 3.5)
    assert (found.cooldown_steps, found.max_rollbacks, found.window_steps) == (4, 1, 9)
    assert (found.steps_back, found.prune_newer_on_rollback, found.patience) == (2, False, 1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"guard_ring_size": 0}, "guard ring_size: expected a whole number of at least 1"),
        ({"guard_grad_threshold": float("nan")}, "guard grad_threshold"),
        ({"spectra_every": 0}, "spectra_every: expected None or a number of steps from 1 on"),
        ({"fsync_s": -1.0}, "fsync_s"),
        ({"task_profile": "poetry"}, "task_profile"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GradienceCallbackConfig(**settings)  # type: ignore[arg-type]  # settings of many types
