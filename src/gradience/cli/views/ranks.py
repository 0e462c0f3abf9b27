"""The parts of an audit's view that are about ranks to try: policies, plans, budgets, patterns."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from gradience.cli.views.parts import (
    common_stem,
    indented,
    line,
    number,
    percent,
    plain_table,
)
from gradience.core.audit.report import AuditReport, BudgetSuggestion
from gradience.core.ranks.disagreement import PolicyTable
from gradience.core.ranks.plans import RankPlans
from gradience.core.ranks.suggest import RankSuggestions

MAX_REASONS = 3
"""Flagged modules whose disagreement is told in words; explain tells the others'."""

MAX_PATTERN_LINES = 12
"""Lines of a rank_pattern shown without --verbose."""


def render_ranks(report: AuditReport, console: Console, *, verbose: bool) -> None:
    """Prints the sections that were asked for."""
    if isinstance(report.rank_policies, PolicyTable):
        indented(console, _policy_table(report.rank_policies))
        _print_reasons(report.rank_policies, console)
        for caveat in report.rank_policies.caveats:
            line(console, caveat, "dim")
    if isinstance(report.budgets, tuple):
        for budget in report.budgets:
            _print_budget(budget, console, verbose=verbose)
    if isinstance(report.rank_suggestions, RankSuggestions):
        if report.rank_plans.plans:
            indented(console, _plan_table(report.rank_plans))
            line(console, report.rank_plans.note)
        found = report.rank_suggestions
        _print_pattern(found.default_r, found.rank_pattern, console, verbose=verbose)


def _policy_table(policies: PolicyTable) -> Table:
    stem = common_stem([module.name for module in policies.modules])
    short = [name.replace("stable_rank", "stable") for name in policies.policies]
    title = "rank by policy" + (f", under {stem}" if stem else "")
    table = plain_table("module", *short, "share", "", title=title)
    for module in policies.modules:
        mark = "flagged" if module.flagged else "differ" if module.disagree else ""
        table.add_row(
            module.name.removeprefix(stem),
            *(number(module.k_by_policy.get(name)) for name in policies.policies),
            percent(module.importance_share),
            mark,
        )
    return table


def _print_reasons(policies: PolicyTable, console: Console) -> None:
    """Why the policies disagree, for the modules where it matters most."""
    by_name = {module.name: module for module in policies.modules}
    for name in policies.flagged[:MAX_REASONS]:
        sides = "; ".join(reason.partition(";")[0] for reason in by_name[name].why)
        line(console, f"{name}: {sides}")
    if policies.flagged:
        line(console, "why: gradience explain --audit-json FILE --layer NAME", "dim")


def _plan_table(found: RankPlans) -> Table:
    table = plain_table("plan", "largest r", "params", "of now", "energy kept", "error")
    for plan in found.plans:
        table.add_row(
            plan.name.replace("_", " "),
            str(plan.max_rank),
            f"{plan.params:,}",
            percent(plan.params_ratio),
            percent(plan.energy_kept),
            percent(plan.relative_error),
        )
    return table


def _print_budget(found: BudgetSuggestion, console: Console, *, verbose: bool) -> None:
    plan = found.plan
    console.print()
    line(
        console,
        f"{plan.spec}: {plan.params:,} of {plan.params_before:,} parameters keep "
        f"{percent(plan.energy_kept)} of the energy (relative error {number(plan.relative_error)}, "
        f"largest rank {plan.max_rank})",
    )
    if plan.note:
        line(console, plan.note)
    _print_pattern(found.default_r, found.rank_pattern, console, verbose=verbose)


def _print_pattern(
    default_r: int | None, pattern: Mapping[str, int], console: Console, *, verbose: bool
) -> None:
    if default_r is None:
        return
    console.print()
    if not pattern:
        line(console, f"peft.LoraConfig(r={default_r})")
        return
    line(console, f"peft.LoraConfig(r={default_r}, rank_pattern={{")
    lines = [f'      "{name}": {rank},' for name, rank in pattern.items()]
    shown = lines if verbose else lines[:MAX_PATTERN_LINES]
    for entry in shown:
        console.print(entry)
    if len(shown) < len(lines):
        console.print(f"      # {len(lines) - len(shown)} more: --verbose or --json", style="dim")
    line(console, "})")
