"""``explain`` from Python."""

import os
from pathlib import Path

from gradience.core.explaining.explain import explain_layer
from gradience.core.explaining.report import LayerExplanation
from gradience.shell.files import read_mapping

StrPath = str | os.PathLike[str]


def explain(audit_json: StrPath, layer: str) -> LayerExplanation:
    """Tells what an audit found of one module, and why rank policies disagree there.

    Args:
        audit_json: The JSON of an audit (``gradience audit --layers --rank-policies all --json``).
        layer: The module's name, or an unambiguous ending of it.

    Returns:
        The explanation.

    Raises:
        ConfigError: The file is no audit, or has no such module; near names are listed.
    """
    return explain_layer(read_mapping(Path(audit_json)), layer)
