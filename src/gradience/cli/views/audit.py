"""The terminal view of an AuditReport."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gradience.cli.views.parts import (
    common_stem,
    heading,
    indented,
    line,
    notice,
    number,
    percent,
    plain_table,
    remark,
)
from gradience.core.audit.report import AuditReport, LayerData
from gradience.core.ranks.disagreement import PolicyTable
from gradience.core.ranks.suggest import RankSuggestions

MAX_PATTERN_LINES = 12
"""Lines of a rank_pattern shown without --verbose."""


def render_audit(report: AuditReport, console: Console, *, verbose: bool = False) -> None:
    """Prints a report: the summary, what was found, then the sections that were asked for."""
    heading(console, "gradience audit", report.adapter_weights_path)
    _print_overview(report, console)
    indented(console, _type_table(report))
    _print_suggestion(report, console)
    if report.findings:
        console.print()
    for finding in report.findings:
        notice(console, finding.severity, finding.code, finding.message)
        remark(console, "remedy", finding.remedy)
    if isinstance(report.layer_data, LayerData):
        indented(console, _layer_table(report.layer_data))
    if isinstance(report.top_wasteful, tuple):
        indented(console, _wasteful_table(report))
    if isinstance(report.rank_policies, PolicyTable):
        indented(console, _policy_table(report.rank_policies))
        for caveat in report.rank_policies.caveats:
            line(console, caveat, "dim")
    if isinstance(report.rank_suggestions, RankSuggestions):
        _print_pattern(report.rank_suggestions, console, verbose=verbose)


def _print_overview(report: AuditReport, console: Console) -> None:
    ranks = sorted({gain.r for gain in report.per_module_gain})
    shown = f"r {', '.join(map(str, ranks))}; " if ranks else ""
    line(console, f"{report.n_layers} modules, {shown}{report.total_lora_params:,} LoRA parameters")
    others = ", ".join(f"{count} x {kind}" for kind, count in report.other_tensors.items())
    if others:
        line(console, f"also in the file: {others}", style="dim")
    if report.udr_mean is not None:
        line(
            console,
            f"update against base: UDR mean {number(report.udr_mean)}, p90 "
            f"{number(report.udr_p90)}, max {number(report.udr_max)} "
            f"({report.n_layers_with_udr} modules)",
        )


def _type_table(report: AuditReport) -> Table:
    table = plain_table(
        "modules", "n", "params", "stable rank", "utilisation", "k@90 % p50", "k@90 % p90"
    )
    for kind, summary in report.by_type.items():
        table.add_row(
            kind,
            str(summary.n_layers),
            f"{summary.params:,}",
            number(summary.stable_rank_mean),
            percent(summary.utilization_mean),
            number(summary.energy_rank_90_p50),
            number(summary.energy_rank_90_p90),
        )
    table.add_row(
        "all",
        str(report.n_layers),
        f"{report.total_lora_params:,}",
        number(report.stable_rank_mean),
        percent(report.utilization_mean),
        number(report.energy_rank_90_p50),
        number(report.energy_rank_90_p90),
        style="bold",
    )
    return table


def _print_suggestion(report: AuditReport, console: Console) -> None:
    found = report.global_suggestions
    if found.suggested_r_p90 is None or found.current_r is None:
        return
    console.print()
    if found.suggested_r_p90 >= found.current_r:
        line(
            console,
            f"no rank below {found.current_r} keeps 90 % of the energy of 90 % of the modules",
        )
    else:
        line(
            console,
            f"to try: rank {found.suggested_r_p90} keeps 90 % of the energy of 90 % of the modules "
            f"(median {found.suggested_r_median}, largest {found.suggested_r_max}, now "
            f"{found.current_r})",
        )
        line(console, "a hypothesis: compare held-out metrics at both ranks, three seeds", "dim")
    line(console, "utilisation is stable rank / r, and below 100 % even for pure noise", "dim")
    line(console, "energy is the share of Σσ² (PEFT's convention); k@90 % keeps 90 % of it", "dim")


def _layer_table(data: LayerData) -> Table:
    stem = common_stem([row.name for row in data.layer_rows])
    table = plain_table("module", "r", "stable", "erank", "k@90 %", "σ₁(ΔW)", "‖ΔW‖F", "UDR")
    for row in data.layer_rows:
        status = "" if row.status.value == "ok" else f" [{row.status.value}]"
        table.add_row(
            escape(row.name.removeprefix(stem) + status),
            str(row.r),
            number(row.stable_rank),
            number(row.effective_rank),
            number(row.energy_rank_90),
            number(row.delta_sigma_max),
            number(row.delta_fro_norm),
            number(row.udr),
        )
    return table


def _wasteful_table(report: AuditReport) -> Table:
    table = plain_table("most unused rank", "r", "k@90 %", "to try")
    for layer in report.top_wasteful or ():
        table.add_row(
            layer.name,
            str(layer.current_r),
            number(layer.energy_rank_90),
            number(layer.suggested_r),
        )
    return table


def _policy_table(policies: PolicyTable) -> Table:
    stem = common_stem([module.name for module in policies.modules])
    short = [name.replace("stable_rank", "stable") for name in policies.policies]
    table = plain_table("module", *short, "share", "", title=f"rank by policy, under {stem}")
    for module in policies.modules:
        mark = "flagged" if module.flagged else "differ" if module.disagree else ""
        table.add_row(
            module.name.removeprefix(stem),
            *(number(module.k_by_policy.get(name)) for name in policies.policies),
            percent(module.importance_share),
            mark,
        )
    return table


def _print_pattern(found: RankSuggestions, console: Console, *, verbose: bool) -> None:
    console.print()
    console.print(f"  peft.LoraConfig(r={found.default_r}, rank_pattern={{", markup=False)
    lines = [f'      "{name}": {rank},' for name, rank in found.rank_pattern.items()]
    shown = lines if verbose else lines[:MAX_PATTERN_LINES]
    for entry in shown:
        console.print(entry, markup=False)
    if len(shown) < len(lines):
        console.print(f"      # {len(lines) - len(shown)} more: --verbose or --json", style="dim")
    console.print("  })", markup=False)
