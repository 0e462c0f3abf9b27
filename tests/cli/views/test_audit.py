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


def test_singular_values_stand_in_the_rows_where_they_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_modules(tmp_path, {"layers.0.q_proj": factors()})
    policy = AuditPolicy(layers=True)
    report = audit(folder, top_singular_values=2, policy=policy)
    assert isinstance(report.layer_data, LayerData)
    first, second = report.layer_data.layer_rows[0].top_singular_values
    assert f"{first:.3g} {second:.3g}" in _shown(report, capsys)
    assert "σ(ΔW)" not in _shown(audit(folder, policy=policy), capsys)


def test_experts_are_counted_apart_from_modules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_modules(tmp_path, {"layers.0.mlp.experts": factors(r=6, d_in=9, d_out=8)})
    settings = tmp_path / "config.json"
    target = '["mlp.experts.gate_up_proj"]'
    settings.write_text(
        f'{{"peft_type": "LORA", "r": 3, "lora_alpha": 3, "target_parameters": {target}}}'
    )
    shown = _shown(audit(folder, adapter_config=settings), capsys)
    assert "1 module (2 updates with the experts')" in shown
