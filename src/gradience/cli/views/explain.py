"""The terminal view of a LayerExplanation."""

from rich.console import Console

from gradience.cli.views.parts import heading, indented, line, number, plain_table
from gradience.core.explaining.report import LayerExplanation


def render_explanation(found: LayerExplanation, console: Console, *, verbose: bool = False) -> None:
    """Prints what is known of one module, then what to try."""
    heading(console, "gradience explain", found.name)
    status = "" if found.status in {None, "ok"} else f", {found.status}"
    params = "" if found.params is None else f", {found.params:,} parameters"
    line(console, f"{found.module_type} module, rank {number(found.r)}{params}{status}")
    if found.spectrum is not None:
        line(console, found.spectrum.reading)
    if found.null is not None:
        line(console, found.null.reading)
    _print_policies(found, console, verbose=verbose)
    if found.disagreement is not None:
        for reason in found.disagreement.why:
            line(console, reason)
    if found.importance is not None:
        line(console, found.importance.reading)
    if found.suggestion is not None:
        console.print()
        rank = f"to try: rank {found.suggestion.rank}"
        now = "" if found.suggestion.current is None else f" (now {found.suggestion.current})"
        line(console, f"{rank}{now}, from {found.suggestion.source}")
    line(console, f"the experiment: {found.experiment}")
    for note in (*(found.caveats if verbose else ()), *found.missing):
        line(console, note, "dim")


def _print_policies(found: LayerExplanation, console: Console, *, verbose: bool) -> None:
    if not found.policies:
        return
    table = plain_table("policy", "rank")
    if verbose:
        table.add_column("what it measures", overflow="fold")
    for reading in found.policies:
        measures = [reading.measures] if verbose else []
        table.add_row(reading.policy, str(reading.k), *measures)
    indented(console, table)
    console.print()
