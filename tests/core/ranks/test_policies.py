"""Rank policies on spectra whose answer is known."""

import numpy as np
import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.policies import (
    DEFAULT_POLICIES,
    RankPolicySpec,
    RankSuggestion,
    apply_rank_policy,
    parse_rank_policy,
)


def _apply(policy: str, *values: float, shape: tuple[int, int] | None = None) -> RankSuggestion:
    found = apply_rank_policy(policy, np.array(values, dtype=np.float64), shape)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("energy@0.90", 2), ("energy@0.99", 3), ("energy@0.5", 1), ("stable_rank", 2), ("erank", 3)],
)
def test_ranks_by_hand(policy: str, expected: int) -> None:
    assert _apply(policy, 2.0, 1.0, 0.5, 0.01).k == expected


def test_energy_at_095_is_not_energy_at_090() -> None:
    values = np.sqrt([0.92, 0.04, 0.04])
    assert _apply("energy@0.95", *values).k == 2
    assert _apply("energy@0.90", *values).k == 1
    assert _apply("energy", *values).k == 1


@pytest.mark.parametrize("n", [1, 2, 4, 16])
def test_the_knee_of_an_exactly_rank_one_spectrum_is_one(n: int) -> None:
    assert _apply("knee", 3.0, *[0.0] * (n - 1)).k == 1


@pytest.mark.parametrize("policy", DEFAULT_POLICIES[:4])
def test_a_flat_spectrum_keeps_every_value(policy: str) -> None:
    assert _apply(policy, *[2.0] * 8).k == 8


def test_the_knee_stands_before_the_drop() -> None:
    assert _apply("knee", 10.0, 9.5, 9.0, 0.2, 0.1, 0.0).k == 3


def test_hard_threshold_takes_omega_of_the_aspect_ratio() -> None:
    square = _apply("oht", 10.0, 1.0, 1.0, shape=(8, 8))
    assert square.k == 1
    assert square.details["threshold_sigma"] == pytest.approx(2.86)
    assert _apply("oht", 10.0, 1.0, 1.0, shape=(8, 16)).details["beta"] == 0.5


def test_confidence_is_the_gap_below_the_cut() -> None:
    assert _apply("energy@0.90", 10.0, 1.0).confidence == pytest.approx(0.9)
    assert _apply("energy@0.90", 10.0).confidence == 1.0
    assert _apply("energy@0.5", 1.0, 1.0, 1.0).confidence == 0.0


def test_a_suggestion_tells_the_energy_that_it_keeps() -> None:
    assert _apply("energy@0.5", 2.0, 1.0).details["energy_kept"] == pytest.approx(0.8)


@pytest.mark.parametrize("policy", DEFAULT_POLICIES)
def test_a_zero_update_gets_no_rank(policy: str) -> None:
    assert apply_rank_policy(policy, np.zeros(4)) is None
    assert apply_rank_policy(policy, np.zeros(0)) is None


@pytest.mark.parametrize("policy", DEFAULT_POLICIES)
def test_texts_and_specifications_agree(policy: str) -> None:
    spec = parse_rank_policy(policy)
    values = np.array([4.0, 2.0, 1.0])
    assert spec.label == policy
    assert apply_rank_policy(spec, values) == apply_rank_policy(policy, values)


@pytest.mark.parametrize(
    "text",
    ["", "median", "energy@", "energy@0", "energy@1.5", "energy@a", "energy@0.9.1", "knee@0.5"],
)
def test_texts_that_say_no_policy_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="rank policy"):
        parse_rank_policy(text)


def test_a_specification_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="'median'"):
        apply_rank_policy(RankPolicySpec(name="median"), np.ones(3))


@pytest.mark.parametrize("threshold", [0.0, 1.5, -1.0])
def test_a_specification_outside_zero_to_one_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        apply_rank_policy(RankPolicySpec(name="energy", threshold=threshold), np.ones(3))


def test_labels_of_different_thresholds_differ() -> None:
    assert parse_rank_policy("energy@0.995").label != parse_rank_policy("energy@0.99").label
