"""One budget over all modules: the ranks that lose the least energy for their parameters."""

import math
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import attrs
import msgspec
import numpy as np
from numpy.typing import NDArray

from gradience.core.errors import ConfigError
from gradience.core.ranks.energy_table import (
    EnergyTable,
    Ints,
    ModuleSpectrum,
    energy_table,
    named_ranks,
)
from gradience.core.ranks.policies import RankPolicySpec, parse_rank_policy

BUDGET_ROUNDING = 1e-12
"""Slack on a share, for the rounding of sums."""

_TEXT = re.compile(r"\s*(?P<name>budget\w*)(?:@(?P<amount>.*?))?\s*")


class BudgetKind(Enum):
    """What a budget bounds; the value is its name in ``--rank-policies``."""

    SHARE = "budget"
    """Share of the parameters of the modules that have an update."""
    PARAMS = "budget_params"
    """Number of parameters."""
    ERROR = "budget_error"
    """Total relative error √(Σ‖ΔW - ΔW_k‖_F² / Σ‖ΔW‖_F²), met with few parameters."""


class BudgetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A budget."""

    kind: BudgetKind
    amount: float

    @property
    def label(self) -> str:
        """The budget as text, such as ``budget@0.5``."""
        amount = int(self.amount) if self.kind is BudgetKind.PARAMS else self.amount
        return f"{self.kind.value}@{amount}"


class BudgetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Ranks over all modules for one budget."""

    spec: str
    ranks: Mapping[str, int]
    """Module → rank, at least 1; modules without an update are left out, here and in the
    parameters."""
    params: int
    params_before: int
    relative_error: float
    """√(discarded share of Σσ²), over all modules."""
    energy_kept: float
    met: bool
    note: str = ""
    max_rank: int
    """What a server reserves memory for; 0 without modules."""


@attrs.frozen
class _Amounts:
    """What amounts a kind of budget takes."""

    text: str
    at_most: float
    whole: bool = False

    def hold(self, amount: float) -> bool:
        return 0 < amount <= self.at_most and (not self.whole or amount == int(amount))


_AMOUNTS: Mapping[BudgetKind, _Amounts] = {
    BudgetKind.SHARE: _Amounts("a share above 0 and at most 1, as in budget@0.5", 1.0),
    BudgetKind.PARAMS: _Amounts(
        "a whole number of parameters, as in budget_params@1000000", 2.0**53, whole=True
    ),
    BudgetKind.ERROR: _Amounts("an error above 0 and at most 1, as in budget_error@0.1", 1.0),
}


def parse_budget(text: str) -> BudgetSpec | None:
    """Reads a budget.

    Args:
        text: Such as ``budget@0.5``, ``budget_params@1000000`` or ``budget_error@0.1``.

    Returns:
        The budget; None for a text that names none.

    Raises:
        ConfigError: The text names a budget that there is not, or an amount that it cannot be.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    kinds = {kind.value: kind for kind in BudgetKind}
    if match["name"] not in kinds:
        raise ConfigError(f"budget {text!r}: expected one of {', '.join(sorted(kinds))}")
    kind = kinds[match["name"]]
    try:
        amount = float(match["amount"] or math.nan)
    except ValueError:
        amount = math.nan
    return _checked(text, BudgetSpec(kind=kind, amount=amount))


def parse_rank_rule(text: str) -> RankPolicySpec | BudgetSpec:
    """Reads one entry of ``--rank-policies``: a policy of each spectrum or a budget over all.

    Raises:
        ConfigError: It is neither.
    """
    budget = parse_budget(text)
    return parse_rank_policy(text) if budget is None else budget


def budget_plan(spec: BudgetSpec | str, modules: Sequence[ModuleSpectrum]) -> BudgetPlan:
    """The ranks that lose the least energy within a budget.

    After one direction for every module that has an update (PEFT knows no rank 0), directions are
    taken by σ²/(d_in + d_out), most first, up to the budget. No other ranks of as many parameters
    or fewer keep more energy; where the next direction does not fit, what is left of the budget is
    less than that direction, and so is what other ranks within the budget could keep beyond these
    (Dantzig 1957, on the continuous knapsack). Where the best equal rank for all modules uses that
    rest better, it is the plan.

    Args:
        spec: The budget, or its text.
        modules: The modules with their singular values.

    Returns:
        The plan. ``met`` is False where even rank 1 everywhere is beyond the budget; these ranks
        are then the plan.

    Raises:
        ConfigError: The budget's text does not parse, or a module's values are not finite.
    """
    if isinstance(spec, str):
        parsed = parse_budget(spec)
        if parsed is None:
            raise ConfigError(f"budget {spec!r}: expected a budget, as in budget@0.5")
        spec = parsed
    spec = _checked(spec.label, spec)
    table = energy_table(modules)
    limit = _limit(spec, table)
    greedy, uniform = _greedy_ranks(spec, table, limit), _uniform_ranks(spec, table, limit)
    ranks = min((greedy, uniform), key=lambda found: _loss(table, found, limit))
    return _plan(spec, table, ranks, left_out=len(modules) - len(table.names))


def _loss(table: EnergyTable, ranks: Ints, limit: int | None) -> tuple[float, float]:
    """What a budget wants least of: lost energy, or parameters where the error is given."""
    loss = table.discarded(ranks), float(table.params(ranks))
    return loss if limit is not None else loss[::-1]


def _greedy_ranks(spec: BudgetSpec, table: EnergyTable, limit: int | None) -> Ints:
    queue = _queue(table)
    if limit is None:
        taken = int(np.argmax(queue.discarded <= _discardable(spec)))
    else:
        spare = limit - int(table.costs.sum())
        taken = int(np.searchsorted(queue.params, spare, side="right"))
    taken_of = np.bincount(queue.modules[:taken], minlength=len(table.names))
    return np.asarray(1 + taken_of, dtype=np.int64)


def _uniform_ranks(spec: BudgetSpec, table: EnergyTable, limit: int | None) -> Ints:
    """The best equal rank within the budget, 1 where there is none."""
    used = np.maximum(np.count_nonzero(table.energies, axis=1), 1)
    widest = int(used.max(initial=1))
    found = np.minimum(1, used)
    for k in range(2, widest + 1):
        ranks = np.minimum(k, used)
        if limit is None and table.discarded(found) <= _discardable(spec):
            break
        if limit is not None and table.params(ranks) > limit:
            break
        found = ranks
    return np.asarray(found, dtype=np.int64)


def _discardable(spec: BudgetSpec) -> float:
    return spec.amount * spec.amount * (1 + BUDGET_ROUNDING)


class _Queue(NamedTuple):
    """The directions beyond each module's first, by energy per parameter, most first."""

    modules: Ints
    """Row of each direction's module."""
    params: Ints
    """Parameters of the directions up to and with each."""
    discarded: NDArray[np.float64]
    """Share of Σσ² that is discarded where the first 0, 1, 2 … directions are taken."""


def _queue(table: EnergyTable) -> _Queue:
    beyond = table.energies[:, 1:]
    rows, columns = np.nonzero(beyond)
    energies, costs = beyond[rows, columns], table.costs[rows]
    order = np.argsort(-energies / costs, kind="stable")
    behind = np.cumsum(energies[order][::-1])[::-1]
    return _Queue(rows[order], np.cumsum(costs[order]), np.append(behind, 0.0))


def _limit(spec: BudgetSpec, table: EnergyTable) -> int | None:
    """The parameters that a budget allows; None for a budget of error."""
    if spec.kind is BudgetKind.ERROR:
        return None
    if spec.kind is BudgetKind.PARAMS:
        return int(spec.amount)
    return math.floor(spec.amount * table.present_params * (1 + BUDGET_ROUNDING))


def _plan(spec: BudgetSpec, table: EnergyTable, ranks: Ints, *, left_out: int) -> BudgetPlan:
    discarded, params, limit = table.discarded(ranks), table.params(ranks), _limit(spec, table)
    notes = []
    if limit is not None and params > limit:
        notes.append(
            f"rank 1 everywhere is {params} parameters, beyond the budget of {limit}; "
            "PEFT knows no rank 0"
        )
    if left_out:
        notes.append(f"{left_out} modules without an update are left out")
    return BudgetPlan(
        spec=spec.label,
        ranks=named_ranks(table, ranks),
        params=params,
        params_before=table.present_params,
        relative_error=math.sqrt(discarded),
        energy_kept=1.0 - discarded,
        met=limit is None or params <= limit,
        note="; ".join(notes),
        max_rank=int(ranks.max(initial=0)),
    )


def _checked(text: str, spec: BudgetSpec) -> BudgetSpec:
    amounts = _AMOUNTS[spec.kind]
    if not amounts.hold(spec.amount):
        raise ConfigError(f"budget {text!r}: expected {amounts.text}")
    return spec
