"""The view of ranks: only what there is to say."""

from pathlib import Path

import pytest

from gradience.api import audit
from gradience.cli.output import console
from gradience.cli.views.ranks import MAX_PATTERN_LINES, render_ranks
from gradience.core.audit.policy import AuditPolicy
from tests.adapter_files import factors, write_modules


def _shown(folder: Path, capsys: pytest.CaptureFixture[str], *, count: int, verbose: bool) -> str:
    modules = {f"layers.{i}.q": factors(seed=i) for i in range(count)}
    folder = write_modules(folder, modules)
    report = audit(
        folder, rank_policies=["knee", "budget@0.6"], policy=AuditPolicy(suggest_per_layer=True)
    )
    render_ranks(report, console(), verbose=verbose)
    return capsys.readouterr().out


def test_one_module_has_no_common_path_and_no_pattern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _shown(tmp_path, capsys, count=1, verbose=False)
    assert "rank by policy" in shown
    assert ", under" not in shown
    assert "  peft.LoraConfig(r=4)\n" in shown
    assert "rank_pattern" not in shown


def test_a_long_pattern_is_cut_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = _shown(tmp_path / "a", capsys, count=40, verbose=False)
    whole = _shown(tmp_path / "b", capsys, count=40, verbose=True)
    assert "rank by policy, under layers." in whole
    lines = [line for line in cut.splitlines() if line.startswith('      "layers.')]
    assert len(lines) <= 2 * MAX_PATTERN_LINES
    assert "more: --verbose or --json" in cut
    assert "more:" not in whole
