"""The audit's view: names as they stand in the file, and what is not known said."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from gradience.api import audit
from gradience.cli.output import console
from gradience.cli.views.audit import render_audit
from gradience.core.audit.policy import AuditPolicy
from gradience.core.audit.report import AuditReport, LayerData
from gradience.core.dominance.intruder_result import IntruderResult
from tests.adapter_files import factors, write_modules

LIKE_MARKUP = ("layers.0.a[/b]", "layers.0.[red]c", "layers.1.[/]")


def _shown(report: AuditReport, capsys: pytest.CaptureFixture[str]) -> str:
    screen = console()
    screen.width = 200
    render_audit(report, screen, verbose=True)
    return capsys.readouterr().out


def _audit(folder: Path, *names: str) -> AuditReport:
    modules = {name: factors(seed=seed) for seed, name in enumerate(names)}
    policy = AuditPolicy(layers=True, suggest_per_layer=True, top_wasteful=len(names))
    rules = ["energy@0.9", "knee", "budget@0.5"]
    return audit(write_modules(folder, modules), rank_policies=rules, policy=policy)


def test_names_that_look_like_markup_are_shown_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _shown(_audit(tmp_path, *LIKE_MARKUP), capsys)
    for name in LIKE_MARKUP:
        assert shown.count(name.removeprefix("layers.")) >= 3  # layers, wasteful, policies


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (IntruderResult(n_intruders=2, n_undecided=0), " 2"),
        (IntruderResult(n_intruders=2, n_undecided=3), "2 to 5"),
        (IntruderResult(n_intruders=None, n_undecided=None, reason="the weight is zero"), " -"),
    ],
)
def test_undecided_intruders_are_shown_as_a_range(
    result: IntruderResult, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _audit(tmp_path, "layers.0.q")
    assert isinstance(report.layer_data, LayerData)
    rows = tuple(replace(row, intruders=result) for row in report.layer_data.layer_rows)
    shown = _shown(replace(report, layer_data=LayerData(layer_rows=rows)), capsys)
    row = next(line for line in shown.splitlines() if line.strip().startswith("layers.0.q"))
    assert row.rstrip().endswith(words)
