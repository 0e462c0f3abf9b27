"""``gradience monitor``."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from gradience.vnext.telemetry import TelemetryWriter
from gradience.vnext.types import ConfigSnapshot
from tests.cli.run_cli import CliResult

Cli = Callable[..., CliResult]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    with TelemetryWriter(path) as writer:
        writer.run_start(ConfigSnapshot(model_name="toy"))
        for step in range(1, 31):
            writer.train_step(step, loss=1.0, lr=1e-4, grad_norm=0.5)
        writer.eval(30, split="eval", metrics={"loss": 2.0, "accuracy": 0.5})
    return path


def codes(result: CliResult) -> list[str]:
    alerts = result.json["alerts"]
    assert isinstance(alerts, list)
    return [alert["code"] for alert in alerts]


def test_json_has_the_contract_keys(cli: Cli, run: Path) -> None:
    expected = {"file", "config", "signals", "alerts", "recommendations", "telemetry_issues"}
    assert expected <= cli("monitor", run, "--json").json.keys()


def test_gap_is_estimated_from_the_smoothed_training_loss(cli: Cli, run: Path) -> None:
    signals = cli("monitor", run, "--json").json["signals"]
    assert isinstance(signals, dict)
    assert signals["gap"] == pytest.approx(math.e)
    assert signals["extras"]["gap"]["estimated"] is True


def test_gap_threshold_decides_the_alert(cli: Cli, run: Path) -> None:
    assert "memorization_gap" in codes(cli("monitor", run, "--json"))
    assert "memorization_gap" not in codes(cli("monitor", run, "--gap-threshold", 3, "--json"))


def test_view_shows_the_numbers_within_80_columns(cli: Cli, run: Path) -> None:
    result = cli("monitor", run, "--verbose")
    assert "gap 2.718" in result.out
    assert "memorization_gap" in result.out
    assert "\x1b[" not in result.out
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize(("level", "code"), [("never", 0), ("warning", 1), ("error", 0)])
def test_fail_on(cli: Cli, run: Path, level: str, code: int) -> None:
    assert cli("monitor", run, "--fail-on", level).code == code


def test_default_never_fails_on_findings(cli: Cli, run: Path) -> None:
    assert cli("monitor", run).code == 0


def test_torn_tail_is_an_issue_and_with_strict_schema_an_error(cli: Cli, run: Path) -> None:
    with run.open("ab") as file:
        file.write(b'{"schema": "gradience')
    result = cli("monitor", run)
    assert result.code == 0
    assert "torn_line" in result.out
    strict = cli("monitor", run, "--strict-schema")
    assert (strict.code, strict.out) == (2, "")
    assert "run.jsonl:34: the last line is cut off" in strict.err


def test_nonfinite_numbers_come_out_as_strict_json(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with TelemetryWriter(path) as writer:
        writer.run_start(ConfigSnapshot())
        writer.train_step(1, loss=math.nan)
        writer.eval(1, split="eval", metrics={"loss": math.inf})
    result = cli("monitor", path, "--json")
    assert codes(result)[:1] == ["nonfinite_loss"]
    assert "nonfinite_eval" in codes(result)
    assert cli("monitor", path, "--fail-on", "error").code == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"peft_type": "LORA", "r": 8}', "adapter_config.json"),
        ('{"schema": "other/v9"}', "other/v9"),
        ("", "an empty file"),
        ("no json", "not JSON"),
    ],
)
def test_other_files_are_refused_by_name(
    cli: Cli, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "some.json"
    path.write_text(content)
    result = cli("monitor", path)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_a_folder_is_a_table_of_its_runs(cli: Cli, run: Path) -> None:
    shown = cli("monitor", run.parent)
    assert shown.code == 0
    assert "run.jsonl" in shown.out
    assert "1 run, 1 with a warning or worse" in shown.out
    document = cli("monitor", run.parent, "--json").json
    assert document.keys() == {"folder", "runs", "unread"}
    rows = document["runs"]
    assert isinstance(rows, list)
    assert [(row["file"], row["status"], row["last_step"]) for row in rows] == [
        ("run.jsonl", "ok", 30)
    ]


@pytest.mark.parametrize(("level", "code"), [("warning", 1), ("error", 0), ("never", 0)])
def test_a_folder_is_a_gate(cli: Cli, run: Path, level: str, code: int) -> None:
    assert cli("monitor", run.parent, "--fail-on", level).code == code
    assert cli("monitor", run.parent, "--fail-on", level, "--json").code == code


@pytest.mark.parametrize("flags", [(), ("--json",), ("--fail-on", "error", "--json")])
def test_a_folder_without_a_run_is_an_error(
    cli: Cli, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    result = cli("monitor", tmp_path, *flags)
    assert result.code == 2
    assert "expected the log of a run somewhere below, found none. Name the log" in result.err
    if "--json" in flags:
        assert result.json["runs"] == []


def test_strict_schema_counts_in_a_folder_too(cli: Cli, run: Path) -> None:
    with run.open("ab") as file:
        file.write(b"no JSON\n")
    assert cli("monitor", run.parent).code == 0
    strict = cli("monitor", run.parent, "--strict-schema")
    assert strict.code == 2
    assert "--strict-schema" in strict.out


def test_a_timeout_without_follow_is_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("monitor", tmp_path / "run.jsonl", "--timeout", "5")
    assert (result.code, result.out) == (2, "")
    assert "--timeout: expected --follow beside it" in result.err


def test_a_run_under_way_tells_its_speed_and_the_time_left(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "trainer_log.jsonl"
    rows = [
        {
            "current_steps": step,
            "total_steps": 1000,
            "loss": 2.0,
            "elapsed_time": f"0:{step // 10:02}:00",
        }
        for step in range(10, 200, 10)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    shown = cli("monitor", path).out
    assert "steps 10 to 190 of 1000, 0:19:00" in shown
    assert "0.167 steps/s, 1:21:00 left at this speed" in shown
