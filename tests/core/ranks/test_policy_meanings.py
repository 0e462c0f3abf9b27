"""Every policy says what it measures; the extremes say why they differ."""

import pytest

from gradience.core.ranks.policies import DEFAULT_POLICIES
from gradience.core.ranks.policy_meanings import UNKNOWN, disagreement_reasons, policy_meaning

LABELS = (
    *DEFAULT_POLICIES,
    *("sv_fro@0.90", "sv_cumulative@0.80", "sv_ratio@10.00"),
    *("budget@0.5", "budget_params@1000", "budget_error@0.1"),
)


def test_every_policy_has_a_meaning_of_its_own() -> None:
    meanings = [policy_meaning(label) for label in LABELS]
    assert len(set(meanings)) == len(LABELS)
    assert UNKNOWN not in meanings
    for meaning in meanings:
        assert meaning.endswith(".")
        assert "{" not in meaning


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("energy@0.90", "hold 90% of Σσ²"),
        ("energy@0.995", "hold 99.5% of Σσ²"),
        ("energy", "hold a share of Σσ²"),
        ("sv_fro@0.90", "hold 90% of ‖ΔW‖_F"),
        ("sv_ratio@10.00", "above σ₁/10 "),
        ("sv_ratio@2.50", "above σ₁/2.5 "),
        ("budget@0.5", "on 50% of their parameters"),
        ("budget_params@1000", "on 1000 parameters"),
        ("budget_error@0.1", "a relative error of 10%"),
        ("magic@1", "does not know"),
    ],
)
def test_the_threshold_stands_in_the_meaning(label: str, words: str) -> None:
    assert words in policy_meaning(label)


def test_the_extremes_tell_what_moves_them() -> None:
    most, least = disagreement_reasons({"erank": 14, "knee": 5, "stable_rank": 3, "magic": 3})
    assert most.startswith("erank asks for most (14); erank weighs the tail")
    assert least.startswith("stable_rank, magic ask for least (3); stable_rank divides by σ₁²")
    assert "knee" not in most + least


def test_budgets_are_no_side_of_a_disagreement() -> None:
    ranks = {"erank": 5, "knee": 3}
    assert disagreement_reasons({**ranks, "budget@0.5": 9}) == disagreement_reasons(ranks)
    assert disagreement_reasons({"knee": 3, "budget@0.5": 9}) == ()


def test_agreement_needs_no_reason() -> None:
    assert disagreement_reasons({"erank": 3, "knee": 3}) == ()
    assert disagreement_reasons({}) == ()
