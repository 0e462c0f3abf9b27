"""A folder stands for the run in it."""

import json
from pathlib import Path

import pytest

from gradience.core.errors import TelemetryError
from gradience.shell.telemetry.run_folder import checkpoint_runs, log_in_folder


def write(path: Path, *losses: float, max_steps: int = 9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"step": n, "loss": loss} for n, loss in enumerate(losses, 1)]
    path.write_text(json.dumps({"log_history": rows, "max_steps": max_steps}), "utf-8")
    return path


def test_our_own_recording_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "trainer_state.json")
    own = write(tmp_path / "run.jsonl")
    assert log_in_folder(tmp_path) == own


@pytest.mark.parametrize("name", ["trainer_state.json", "logging.jsonl", "trainer_log.jsonl"])
def test_a_log_in_the_folder_is_found(tmp_path: Path, name: str) -> None:
    own = write(tmp_path / name)
    write(tmp_path / "checkpoint-1" / "trainer_state.json")
    assert log_in_folder(tmp_path) == own


def test_the_latest_checkpoint_of_one_run_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "checkpoint-1" / "trainer_state.json", 3.0)
    latest = write(tmp_path / "checkpoint-12" / "trainer_state.json", 3.0, 2.0)
    write(tmp_path / "checkpoint-2" / "trainer_state.json", 3.0)
    assert log_in_folder(tmp_path) == latest


def test_checkpoints_of_several_runs_are_named(tmp_path: Path) -> None:
    write(tmp_path / "checkpoint-1" / "trainer_state.json", 3.0)
    write(tmp_path / "checkpoint-2" / "trainer_state.json", 4.0, 2.0)
    with pytest.raises(TelemetryError) as raised:
        log_in_folder(tmp_path)
    message = str(raised.value)
    assert f"{tmp_path}: expected one run, found 2: " in message
    assert f"{tmp_path / 'checkpoint-1' / 'trainer_state.json'} (its history differs" in message
    assert message.endswith(f"or see them all with: gradience monitor {tmp_path}")


def test_several_recordings_are_several_runs(tmp_path: Path) -> None:
    for n in range(10):
        write(tmp_path / f"seed-{n}" / "run.jsonl")
    with pytest.raises(TelemetryError, match=r"found 10: .*; and 2 more\. Name one of them"):
        log_in_folder(tmp_path)


def test_a_folder_without_logs_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TelemetryError, match=r"found none of run\.jsonl, trainer_state\.json"):
        log_in_folder(tmp_path)


def test_a_damaged_checkpoint_belongs_to_no_run(tmp_path: Path) -> None:
    good = write(tmp_path / "a.json", 3.0)
    bad = tmp_path / "b.json"
    bad.write_text("{", "utf-8")
    (run,) = checkpoint_runs([good, bad])
    assert run.places == (str(good),)
    with pytest.raises(TelemetryError, match="does not parse"):
        checkpoint_runs([bad])
