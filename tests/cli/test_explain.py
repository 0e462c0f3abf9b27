"""``gradience explain``, on an audit's own JSON and on the original's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapter_files import Q_PROJ, UP_PROJ, factors, write_modules
from tests.cli.run_cli import CliResult
from tests.shared_data import SHARED, needs_shared_data

Cli = Callable[..., CliResult]


@pytest.fixture
def audit_json(cli: Cli, tmp_path: Path) -> Path:
    modules = {Q_PROJ: factors(r=8), UP_PROJ: factors(r=8, seed=1)}
    folder = write_modules(tmp_path / "adapter", modules, r=8)
    flags = ("--layers", "--rank-policies", "all", "--json")
    path = tmp_path / "audit.json"
    path.write_text(cli("audit", str(folder), *flags).out)
    return path


def test_a_module_is_explained_by_an_ending_of_its_name(cli: Cli, audit_json: Path) -> None:
    run = cli("explain", "--audit-json", str(audit_json), "--layer", "self_attn.q_proj")
    assert run.code == 0
    assert run.out.startswith(f"gradience explain  {Q_PROJ}\n")
    assert "for noise (z" in run.out
    assert "energy@0.90" in run.out
    assert "the experiment:" in run.out


def test_verbose_tells_what_each_policy_measures(cli: Cli, audit_json: Path) -> None:
    flags = ("--audit-json", str(audit_json), "--layer", UP_PROJ)
    brief, full = cli("explain", *flags), cli("explain", *flags, "--verbose")
    assert "what it measures" in full.out
    assert "what it measures" not in brief.out


def test_json_is_the_explanation(cli: Cli, audit_json: Path) -> None:
    found = json.loads(
        cli("explain", "--audit-json", str(audit_json), "--layer", "q_proj", "--json").out
    )
    assert found["name"] == Q_PROJ
    assert {policy["policy"] for policy in found["policies"]} >= {"energy@0.90", "null"}
    assert found["null"]["utilization_vs_null"] > 0
    assert found["missing"] == []


def test_an_unknown_module_is_refused_with_near_names(cli: Cli, audit_json: Path) -> None:
    run = cli("explain", "--audit-json", str(audit_json), "--layer", "self_attn.k_proj")
    assert run.code == 2
    assert "self_attn.k_proj" in run.err
    assert Q_PROJ in run.err


def test_a_file_that_is_no_audit_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"a": 1}')
    run = cli("explain", "--audit-json", str(path), "--layer", "x")
    assert run.code == 2
    assert "audit" in run.err


@needs_shared_data
def test_the_originals_sample_is_explained(cli: Cli) -> None:
    path = SHARED / "gradience/audit_json/sample_audit_for_explain.json"
    run = cli("explain", "--audit-json", str(path), "--layer", "transformer.h.0.self_attn.q_proj")
    assert run.code == 0
    assert "Flagged" in run.out
