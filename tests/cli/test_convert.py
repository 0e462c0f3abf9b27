"""``gradience convert``."""

import json
from pathlib import Path

import pytest

from gradience.cli.convert import convert_command
from tests.shared_data import DATA

STATE = DATA / "foreign_logs" / "trl_sft_llama_r.trainer_state.json"


def test_the_view_says_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    out = tmp_path / "run.jsonl"
    assert convert_command(STATE, out) == 0
    shown = capsys.readouterr().out
    assert f"gradience convert  {out}" in shown
    assert "12 events of" in shown
    assert "(trainer_state): 1 run_end, 1 run_start, 10 train_step" in shown


def test_json_is_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert_command(STATE, tmp_path / "run.jsonl", json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["events"] == {"run_end": 1, "run_start": 1, "train_step": 10}
    assert report["telemetry_issues"] == []


def test_the_view_lists_what_was_odd_with_its_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    source = tmp_path / "log.jsonl"
    source.write_text('{"step": 1, "loss": 1.0}\n[1]\n[2]\n')
    convert_command(source, tmp_path / "run.jsonl", force=True)
    shown = capsys.readouterr().out
    assert "warning: row 2: expected a JSON object, found list (2 times)" in shown
