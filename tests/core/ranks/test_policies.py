"""Rank policies on spectra whose answer is known."""

import numpy as np
import pytest

from gradience.core.errors import ConfigError
from gradience.core.ranks.policies import (
    DEFAULT_POLICIES,
    RankPolicySpec,
    RankSuggestion,
    apply_rank_policy,
    needs_null,
    parse_rank_policy,
)
from gradience.core.spectra.null_baseline import NullBaseline
from gradience.shell.null_draws import null_for

ALL_POLICIES = (*DEFAULT_POLICIES, "sv_fro@0.90", "sv_cumulative@0.80", "sv_ratio@10.00")


def _null(n: int) -> NullBaseline:
    return null_for(n, 64, 48)


def _apply(policy: str, *values: float, shape: tuple[int, int] | None = None) -> RankSuggestion:
    spectrum = np.array(values, dtype=np.float64)
    found = apply_rank_policy(policy, spectrum, shape, _null(len(values)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("energy@0.90", 2),
        ("energy@0.99", 3),
        ("energy@0.5", 1),
        ("stable_rank", 2),
        ("erank", 3),
        ("sv_fro@0.90", 2),
        ("sv_cumulative@0.90", 3),
        ("sv_ratio@3", 2),
        ("null", 1),
    ],
)
def test_ranks_by_hand(policy: str, expected: int) -> None:
    assert _apply(policy, 2.0, 1.0, 0.5, 0.01).k == expected


def test_energy_at_095_is_not_energy_at_090() -> None:
    values = np.sqrt([0.92, 0.04, 0.04])
    assert _apply("energy@0.95", *values).k == 2
    assert _apply("energy@0.90", *values).k == 1
    assert _apply("energy", *values).k == 1


@pytest.mark.parametrize("n", [1, 2, 4, 16])
@pytest.mark.parametrize("policy", ALL_POLICIES)
def test_an_exactly_rank_one_spectrum_is_of_rank_one(policy: str, n: int) -> None:
    assert _apply(policy, 3.0, *[0.0] * (n - 1)).k == 1


@pytest.mark.parametrize(
    "policy", [*DEFAULT_POLICIES[:4], "sv_fro@0.95", "sv_cumulative@0.90", "sv_ratio@1.10"]
)
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


@pytest.mark.parametrize("policy", ALL_POLICIES)
def test_a_zero_update_gets_no_rank(policy: str) -> None:
    assert apply_rank_policy(policy, np.zeros(4), null=_null(4)) is None
    assert apply_rank_policy(policy, np.zeros(0)) is None


@pytest.mark.parametrize("policy", ALL_POLICIES)
def test_texts_and_specifications_agree(policy: str) -> None:
    spec = parse_rank_policy(policy)
    values = np.array([4.0, 2.0, 1.0])
    assert spec.label == policy
    one, two = (apply_rank_policy(given, values, null=_null(3)) for given in (spec, policy))
    assert one == two


def test_the_null_policy_alone_asks_for_a_baseline() -> None:
    asking = [name for name in ALL_POLICIES if needs_null(parse_rank_policy(name))]
    assert asking == ["null"]
    for policy in set(ALL_POLICIES) - {"null"}:
        assert apply_rank_policy(policy, np.ones(3)) is not None
    with pytest.raises(ConfigError, match="expected the null baseline of 3 directions, found none"):
        apply_rank_policy("null", np.ones(3))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sv_fro", "found none"),
        ("sv_cumulative", "found none"),
        ("sv_ratio", "found none"),
        ("sv_ratio@1", "above 1, found 1"),
        ("sv_fro@1.01", "above 0 and at most 1, found 1.01"),
        ("null@0.5", "null has none"),
    ],
)
def test_a_threshold_missing_or_out_of_bounds_says_what_is_expected(text: str, found: str) -> None:
    with pytest.raises(ConfigError, match=f"expected .*threshold.* {found}"):
        parse_rank_policy(text)


def test_a_specification_without_its_threshold_is_refused() -> None:
    with pytest.raises(ConfigError, match="found none"):
        apply_rank_policy(RankPolicySpec(name="sv_ratio"), np.ones(3))
    energy = apply_rank_policy(RankPolicySpec(name="energy"), np.ones(10))
    assert energy is not None
    assert energy.k == 9


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
