"""``gradience explain``."""

from pathlib import Path

from gradience.api import explain
from gradience.cli.app import EXIT_OK
from gradience.cli.output import console, print_json
from gradience.cli.views.explain import render_explanation


def explain_command(
    *,
    audit_json: Path,
    layer: str,
    verbose: bool = False,
    json: bool = False,
) -> int:
    """Tell what an audit found of one module, and why rank policies disagree there.

    Args:
        audit_json: The JSON of an audit (audit --layers --rank-policies all --json).
        layer: The module's name, or an ending of it that no other module has.
        verbose: Show what each policy measures, and the caveats.
        json: Print the explanation as JSON.
    """
    found = explain(audit_json, layer)
    if json:
        print_json(found)
    else:
        render_explanation(found, console(), verbose=verbose)
    return EXIT_OK
