"""Where rank policies disagree, and whether the module matters enough to look closer."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import attrs
import msgspec

from gradience.core.errors import ConfigError
from gradience.core.numbers import quantile
from gradience.core.ranks.policy_meanings import disagreement_reasons

ImportanceMetric = Literal["energy_share", "params_share"]
"""What the importance of a module may be measured by."""


@attrs.frozen(kw_only=True)
class DisagreementPolicy:
    """When a disagreement is worth an experiment."""

    importance_quantile: float = 0.75
    """A module must be at or above this quantile of importance (source: the contract)."""
    uniform_mult_gate: float = 1.5
    """And its share must be this many times that of a uniform distribution (the contract)."""
    importance_metric: ImportanceMetric = "energy_share"
    spread_floor: int = 3
    """Policies disagree where largest and smallest k differ by this much at least …"""
    spread_fraction: float = 0.5
    """… and by this fraction of the largest k."""

    def __attrs_post_init__(self) -> None:
        if self.importance_metric not in get_args(ImportanceMetric):
            raise ConfigError(
                f"importance metric {self.importance_metric!r}: expected one of "
                f"{', '.join(get_args(ImportanceMetric))}"
            )
        if not 0 <= self.importance_quantile <= 1:
            raise ConfigError(
                f"importance quantile {self.importance_quantile}: expected a number in [0, 1]"
            )


class ModulePolicies(msgspec.Struct, frozen=True, kw_only=True):
    """The ranks that the policies read off one module's spectrum, and what they come to."""

    name: str
    k_by_policy: Mapping[str, int]
    spread: int = 0
    spread_threshold: float = 0.0
    disagree: bool = False
    importance_share: float = 0.0
    uniform_mult: float = 0.0
    """Share times the number of modules: 1 for an average module."""
    priority_score: float = 0.0
    """``uniform_mult`` · spread / spread threshold, 0 without disagreement."""
    flagged: bool = False
    reasons: tuple[str, ...] = ()
    """Why a disagreeing module is not flagged."""
    why: tuple[str, ...] = ()
    """What the policies that ask for most and for least look at, where they disagree."""


class PolicyTable(msgspec.Struct, frozen=True, kw_only=True):
    """Every module under every policy; the flagged ones deserve a bench run first."""

    policies: tuple[str, ...]
    importance_metric: str
    modules: tuple[ModulePolicies, ...]
    n_disagree: int
    flagged: tuple[str, ...]
    """Names of the flagged modules, highest priority first."""
    caveats: tuple[str, ...] = ()
    """What to keep in mind of the policies."""


def policy_table(
    k_by_module: Mapping[str, Mapping[str, int]],
    importance: Mapping[str, float],
    policies: Sequence[str],
    policy: DisagreementPolicy | None = None,
) -> PolicyTable:
    """Sets the policies side by side and flags the modules worth an experiment.

    Args:
        k_by_module: Module → policy label → k; untrained modules are left out.
        importance: Module → a non-negative amount (update energy, parameters).
        policies: Labels in the order to show.
        policy: The gates.

    Returns:
        The table; empty for no modules.
    """
    policy = policy or DisagreementPolicy()
    total = sum(importance[name] for name in k_by_module) or 1.0
    shares = {name: importance[name] / total for name in k_by_module}
    gate = quantile(shares.values(), policy.importance_quantile) or 0.0
    modules = tuple(
        _judge(name, ks, shares[name], count=len(shares), gate=gate, policy=policy)
        for name, ks in k_by_module.items()
    )
    flagged = sorted((m for m in modules if m.flagged), key=lambda m: -m.priority_score)
    return PolicyTable(
        policies=tuple(policies),
        importance_metric=policy.importance_metric,
        modules=modules,
        n_disagree=sum(module.disagree for module in modules),
        flagged=tuple(module.name for module in flagged),
    )


def _judge(
    name: str,
    ks: Mapping[str, int],
    share: float,
    *,
    count: int,
    gate: float,
    policy: DisagreementPolicy,
) -> ModulePolicies:
    largest = max(ks.values(), default=0)
    spread = largest - min(ks.values(), default=0)
    threshold = max(float(policy.spread_floor), policy.spread_fraction * largest)
    uniform_mult = share * count
    disagree = spread >= threshold
    reasons = []
    if disagree and uniform_mult < policy.uniform_mult_gate:
        reasons.append(f"{uniform_mult:.2f} x a uniform share, below {policy.uniform_mult_gate}")
    if disagree and share < gate:
        reasons.append(f"below the {policy.importance_quantile:.0%} quantile of importance")
    return ModulePolicies(
        name=name,
        k_by_policy=dict(ks),
        spread=spread,
        spread_threshold=threshold,
        disagree=disagree,
        importance_share=share,
        uniform_mult=uniform_mult,
        priority_score=uniform_mult * spread / threshold if disagree else 0.0,
        flagged=disagree and not reasons,
        reasons=tuple(reasons),
        why=disagreement_reasons(ks) if disagree else (),
    )
