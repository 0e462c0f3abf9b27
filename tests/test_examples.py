"""The examples run as they stand, and so does the Python in the documentation."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradience import api

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "vnext"

pytestmark = pytest.mark.trainer


def run_example(folder: Path, name: str, *args: str) -> str:
    """What an example prints, run in ``folder``."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *args],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hf_trainer_example_is_recorded(tmp_path: Path) -> None:
    run_example(tmp_path, "hf_trainer_example.py")
    report = api.monitor(tmp_path / "hf_trainer_example_output" / "run.jsonl")
    assert report.run.outcome.value == "ok"
    assert report.signals.gap is not None


def test_hf_trainer_run_takes_flags(tmp_path: Path) -> None:
    run_example(tmp_path, "hf_trainer_run.py", "--steps", "9", "--rank", "2", "--out", "here")
    report = api.monitor(tmp_path / "here" / "run.jsonl")
    assert (report.config.lora.r, report.run.last_step) == (2, 9)
    assert report.signals.extras["train_estimated"] is False


def test_toy_lora_run_leaves_what_the_contract_names(tmp_path: Path) -> None:
    run_example(tmp_path, "toy_lora_run.py", "--out", "toy", "--device", "cpu", "--steps", "10")
    toy = tmp_path / "toy"
    assert (toy / "training" / "training_args.json").is_file()
    assert api.monitor(toy / "run.jsonl").run.outcome.value == "ok"
    assert api.audit(toy / "peft", base_model=str(toy / "base")).n_layers_with_udr == 28


def test_golden_path_leaves_run_and_adapter(tmp_path: Path) -> None:
    printed = run_example(tmp_path, "golden_path.py")
    assert (tmp_path / "outputs" / "run.jsonl").is_file()
    assert (tmp_path / "outputs" / "adapter" / "adapter_config.json").is_file()
    for command in ("gradience check", "gradience monitor", "gradience audit"):
        assert f"$ {command}" in printed


@pytest.mark.parametrize("page", ["docs/telemetry.md"])
def test_python_in_the_documentation_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})  # noqa: S102  our own documentation


def test_seq2seq_trainer_is_recorded(tmp_path: Path) -> None:
    run_example(tmp_path, "seq2seq_trainer.py")
    report = api.monitor(tmp_path / "seq2seq_trainer_output" / "run.jsonl")
    assert (report.run.outcome.value, report.run.last_step) == ("ok", 30)
    assert report.signals.gap is not None


def test_a_bare_accelerate_loop_is_recorded(tmp_path: Path) -> None:
    run_example(tmp_path, "accelerate_loop.py")
    report = api.monitor(tmp_path / "accelerate_loop_output" / "run.jsonl")
    assert (report.run.outcome.value, report.run.last_step) == ("ok", 24)


@pytest.mark.parametrize(("name", "steps"), [("trl_sft", 24), ("trl_dpo", 12)])
def test_trl_trainers_are_recorded(tmp_path: Path, name: str, steps: int) -> None:
    pytest.importorskip("trl", reason="TRL is not installed (extra [dev])")
    run_example(tmp_path, f"{name}.py")
    report = api.monitor(tmp_path / f"{name}_output" / "run.jsonl")
    assert (report.run.outcome.value, report.run.last_step) == ("ok", steps)
    assert report.config.lora.r == 4
