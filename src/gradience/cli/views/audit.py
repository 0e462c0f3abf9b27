"""The terminal view of an AuditReport."""

from rich.console import Console
from rich.table import Table

from gradience.cli.views.parts import (
    NOTHING,
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
from gradience.cli.views.ranks import render_ranks
from gradience.core.adapter.peft_layout import PEFT_LAYOUT
from gradience.core.audit.report import AuditReport, LayerData, LayerRow
from gradience.core.numbers import counted


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
    render_ranks(report, console, verbose=verbose)


def _print_overview(report: AuditReport, console: Console) -> None:
    ranks = sorted({gain.r for gain in report.per_module_gain})
    shown = f"r {', '.join(map(str, ranks))}; " if ranks else ""
    line(console, f"{_size(report)}, {shown}{report.total_lora_params:,} LoRA parameters")
    if report.layout != PEFT_LAYOUT:
        line(console, f"layout: {report.layout}")
    others = ", ".join(
        f"{count} x {kind} ({report.other_params[kind]:,} parameters)"
        for kind, count in report.other_tensors.items()
    )
    if others:
        line(console, f"also in the file: {others}", style="dim")
    settings = ", ".join(f"{key} {value}" for key, value in report.training_metadata.items())
    if settings:
        line(console, f"trained with: {settings}", style="dim")
    if report.udr_mean is not None:
        line(
            console,
            f"update against base: UDR mean {number(report.udr_mean)}, p90 "
            f"{number(report.udr_p90)}, max {number(report.udr_max)} "
            f"({report.n_layers_with_udr} modules)",
        )
    if report.intruders_total is not None:
        line(
            console,
            f"intruder dimensions: {report.intruders_total} in {report.n_layers_with_intruders} "
            f"modules, {report.intruders_undecided} undecided (of the top 10 of W + ΔW, those with "
            "|cos| < 0.5 with each of W)",
        )


def _size(report: AuditReport) -> str:
    """How many modules; of those with experts, how many updates."""
    if report.n_modules == report.n_layers:
        return counted(report.n_layers, "module")
    return f"{counted(report.n_modules, 'module')} ({report.n_layers:,} updates with the experts')"


def _type_table(report: AuditReport) -> Table:
    table = plain_table(
        "modules", "n", "params", "stable rank", "noise", "utilisation", "k@90 % p50", "p90"
    )
    for kind, summary in report.by_type.items():
        table.add_row(
            kind,
            str(summary.n_layers),
            f"{summary.params:,}",
            number(summary.stable_rank_mean),
            number(summary.stable_rank_null_mean),
            percent(summary.utilization_mean),
            number(summary.energy_rank_90_p50),
            number(summary.energy_rank_90_p90),
        )
    table.add_row(
        "all",
        str(report.n_layers),
        f"{report.total_lora_params:,}",
        number(report.stable_rank_mean),
        number(report.null_baseline.stable_rank_mean if report.null_baseline else None),
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
    line(console, "noise: the stable rank of random updates of these shapes and ranks", "dim")
    line(console, "utilisation: stable rank / r, below 100 % for noise too", "dim")
    line(console, "energy is the share of Σσ² (PEFT's convention); k@90 % keeps 90 % of it", "dim")


def _layer_table(data: LayerData) -> Table:
    stem = common_stem([row.name for row in data.layer_rows])
    names = ("r", "stable", "noise", "erank", "k@90 %", "σ₁(ΔW)", "‖ΔW‖F", "UDR")
    with_intruders = any(row.intruders is not None for row in data.layer_rows)
    with_values = any(row.top_singular_values for row in data.layer_rows)
    asked = (*(("intruders",) if with_intruders else ()), *(("σ(ΔW)",) if with_values else ()))
    table = plain_table("module", *names, *asked)
    for row in data.layer_rows:
        status = "" if row.status.value == "ok" else f" [{row.status.value}]"
        table.add_row(
            row.name.removeprefix(stem) + status,
            str(row.r),
            number(row.stable_rank),
            number(row.stable_rank_null),
            number(row.effective_rank),
            number(row.energy_rank_90),
            number(row.delta_sigma_max),
            number(row.delta_fro_norm),
            number(row.udr),
            *((_intruders(row),) * with_intruders),
            *((" ".join(map(number, row.top_singular_values)),) * with_values),
        )
    return table


def _intruders(row: LayerRow) -> str:
    """How many there are, and how many more there may be."""
    found = row.intruders
    if found is None or found.n_intruders is None:
        return NOTHING
    more = found.n_undecided or 0
    return f"{found.n_intruders} to {found.n_intruders + more}" if more else str(found.n_intruders)


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
