"""Rank suggestions from an audit's JSON, under their contract path."""

from gradience.core.ranks.from_audit import (
    suggest_global_ranks_from_audit,
    suggest_per_layer_ranks,
)
from gradience.core.ranks.suggest import GlobalSuggestion, LayerSuggestion, RankSuggestions

__all__ = [
    "GlobalSuggestion",
    "LayerSuggestion",
    "RankSuggestions",
    "suggest_global_ranks_from_audit",
    "suggest_per_layer_ranks",
]
