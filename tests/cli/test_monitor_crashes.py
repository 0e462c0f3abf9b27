"""``gradience monitor`` on the files that crashes, resumes, guards and full disks leave."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.run_cli import CliResult
from tests.core.telemetry.sample_events import line

Cli = Callable[..., CliResult]

START = line("run_start", step=0, config={})
END = line("run_end", step=40, status="ok")


def step(at: int, loss: float = 2.0, **extras: object) -> bytes:
    return line("train_step", step=at, loss=loss, lr=1e-4, **extras)


def resume(at: int) -> bytes:
    return line("run_start", step=at, config={}, meta={"resumed_from_step": at})


def alert(at: int, code: str, severity: str = "warning", **context: object) -> bytes:
    return line("alert", step=at, severity=severity, code=code, message="m", context=context)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


class Reading:
    """What monitor says of some lines, as JSON and as a screen."""

    def __init__(self, cli: Cli, path: Path, *lines: bytes) -> None:
        path.write_bytes(b"\n".join(lines) + b"\n")
        self.report = json.loads(cli("monitor", path, "--json").out)
        self.screen = " ".join(cli("monitor", path).out.split())

    @property
    def alerts(self) -> dict[str, dict[str, object]]:
        """The alerts by code."""
        return {found["code"]: found for found in self.report["alerts"]}


def test_a_resumed_run_counts_no_step_twice(cli: Cli, path: Path) -> None:
    held_out = line("eval", step=30, split="test", metrics={"loss": 99.0})
    again = line("eval", step=30, split="test", metrics={"loss": 1.5})
    found = Reading(
        cli,
        path,
        START,
        *[step(at) for at in (10, 20)],
        *[step(30, 50.0), held_out, step(40, 1e6)],
        resume(20),
        *[step(30, 1.0), again, step(40, 1.0)],
        END,
    )
    assert (found.report["loss"]["n"], found.report["loss"]["max"]) == (4, 2.0)
    assert found.report["signals"]["test"]["loss"] == 1.5
    run = found.report["run"]
    assert (run["n_resumes"], run["resumed_from_steps"], run["repeated_steps"]) == (1, [20], 20)
    assert found.report["lineage"]["superseded"] == 3
    assert "resumed at step 20 (20 steps repeated)" in found.screen
    assert found.report["n_runs"] == 1
    assert found.alerts.keys() == set()


def test_several_resumes_are_named(cli: Cli, path: Path) -> None:
    screen = Reading(cli, path, START, step(10), resume(5), step(7), resume(6)).screen
    assert "resumed 2 times, at steps 5, 6 (6 steps repeated)" in screen


def test_a_line_torn_by_a_kill_costs_only_itself(cli: Cli, path: Path) -> None:
    found = Reading(cli, path, START, step(10), step(20)[:37], resume(10), step(20), END)
    (issue,) = found.report["telemetry_issues"]
    assert (issue["code"], issue["line"], issue["count"]) == ("not_json", 3, 1)
    assert "line 3: " in found.screen
    assert (found.report["loss"]["n"], found.report["run"]["outcome"]) == (2, "ok")
    assert found.report["run"]["n_resumes"] == 1


def test_lost_events_are_a_warning(cli: Cli, path: Path) -> None:
    late = line("eval", step=30, split="test", metrics={"loss": 2.0}, dropped_events=2)
    found = Reading(cli, path, START, step(10), step(20, dropped_events=3), late, END)
    assert found.alerts["dropped_events"]["severity"] == "warning"
    assert "the recorder lost 5 events before steps 20 to 30" in found.screen
    assert found.report["recorder"]["dropped_events"]["count"] == 5


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("error", "ValueError", "run error steps 0 to 40"),
        ("aborted", "SIGTERM", "run aborted steps 0 to 40"),
    ],
)
def test_a_bad_end_shows_with_its_reason(
    cli: Cli, path: Path, status: str, reason: str, words: str
) -> None:
    end = line("run_end", step=40, status=status, reason=reason)
    found = Reading(cli, path, START, step(10), end)
    assert found.alerts[f"run_{status}"]["severity"] == {"error": "error"}.get(status, "warning")
    assert words in found.screen
    assert f"after step 40 ({reason})" in found.screen


def test_a_killed_run_is_unfinished(cli: Cli, path: Path) -> None:
    found = Reading(cli, path, START, step(10))
    assert found.report["run"]["outcome"] == "unfinished"
    assert found.alerts["run_unfinished"]["severity"] == "info"


def test_parameters_that_were_not_finite_are_an_error(cli: Cli, path: Path) -> None:
    seen = {"grad_norm_preclip": 1.0, "grad_norm_preclip_max": 2.0, "nonfinite_grad_steps": 0}
    found = Reading(
        cli,
        path,
        START,
        step(10, **seen, nonfinite_param_steps=0),
        alert(13, "nonfinite_parameters", "error", modules=["layer.q_proj"]),
        step(20, **seen, nonfinite_param_steps=8),
        step(30, **seen, nonfinite_param_steps=10),
        END,
    )
    assert found.alerts.keys() == {"nonfinite_parameters", "gap_unavailable"}
    assert found.alerts["nonfinite_parameters"]["severity"] == "error"
    assert "not finite at 18 optimizer steps, first at step 13, although" in found.screen


def test_gradients_that_a_loss_scaler_skips_are_an_info(cli: Cli, path: Path) -> None:
    said = [alert(at, "nonfinite_gradients", "info", loss_scale=2.0**16) for at in (1, 5)]
    found = Reading(cli, path, START, *said, step(10, nonfinite_grad_steps=3), END)
    assert found.alerts["nonfinite_gradients"]["severity"] == "info"
    assert "gradients were not finite at 3 optimizer steps, first at step 1" in found.screen


def test_the_guards_rollback_is_a_warning_and_the_run_goes_on(cli: Cli, path: Path) -> None:
    found = Reading(
        cli,
        path,
        START,
        alert(0, "GUARD_INIT", "info", enabled=True),
        step(10),
        alert(10, "GUARD_SNAPSHOT", "info"),
        alert(18, "GUARD_TRIGGERED", "info", action="drop_step", trigger="nan_grad"),
        alert(19, "GUARD_TRIGGERED", "info", action="rollback", trigger="nan_grad"),
        alert(19, "GUARD_ROLLBACK", "warning", restored_step=10),
        line("metrics", step=19, kind="guard", metrics={"action": "rollback", "n_rollbacks": 1}),
        step(20, 1.0),
        END,
    )
    intervention = found.alerts["guard_intervention"]
    assert (intervention["severity"], intervention["first_step"]) == ("warning", 18)
    assert not [code for code in found.alerts if code.startswith("GUARD_")]
    assert "went back 1 time (to the weights of step 10) and dropped 1 step" in found.screen
    assert found.report["loss"]["last"] == 1.0
    assert found.report["guard"]["metrics"]["n_rollbacks"] == 1


def test_the_guards_abort_is_an_error(cli: Cli, path: Path) -> None:
    end = line("run_end", step=19, status="aborted", reason="guard_abort")
    found = Reading(cli, path, START, step(10), alert(19, "GUARD_ABORT", "error"), end)
    assert found.alerts["guard_abort"]["severity"] == "error"
    assert found.alerts["run_aborted"]["severity"] == "warning"
    assert "the guard stopped the run at step 19" in found.screen


def test_a_part_that_failed_is_shown_once(cli: Cli, path: Path) -> None:
    failed = [alert(at, "part_failed", part="spectra") for at in (10, 20)]
    found = Reading(cli, path, START, step(10), *failed, END)
    assert found.alerts["part_failed"]["first_step"] == 10
    assert found.alerts["part_failed"]["last_step"] == 20
    assert "part_failed m (2 times)" in found.screen
