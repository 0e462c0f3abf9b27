"""Every threshold of an audit, and the sections of its report."""

import attrs

from gradience.core.audit.quantity_findings import FindingPolicy
from gradience.core.dominance.gain import ConcentrationPolicy
from gradience.core.ranks.budget import BudgetSpec
from gradience.core.ranks.disagreement import DisagreementPolicy
from gradience.core.ranks.plans import PlanPolicy
from gradience.core.ranks.policies import RankPolicySpec
from gradience.core.ranks.suggest import SuggestionPolicy


@attrs.frozen(kw_only=True)
class AuditPolicy:
    """Every threshold and every section of a report."""

    suggestion: SuggestionPolicy = SuggestionPolicy()
    plans: PlanPolicy = PlanPolicy()
    concentration: ConcentrationPolicy = ConcentrationPolicy()
    disagreement: DisagreementPolicy = DisagreementPolicy()
    findings: FindingPolicy = FindingPolicy()
    rank_policies: tuple[RankPolicySpec, ...] = ()
    budgets: tuple[BudgetSpec, ...] = ()
    layers: bool = False
    suggest_per_layer: bool = False
    top_wasteful: int = 0
