"""Rank policies under their contract path."""

from gradience.core.ranks.policies import RankPolicySpec, RankSuggestion, apply_rank_policy

__all__ = ["RankPolicySpec", "RankSuggestion", "apply_rank_policy"]
